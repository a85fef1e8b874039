// The stores that copies go to: how they are, one more, one less.
import { api } from '../api';
import { Resource } from '../resource.svelte';
import { type SettingsPorts, box } from '../settings/ports';
import type { Tree } from '../settings/tree';
import type { CopyTargetStatus, CopyTargets as All, StoreProbeLine } from '../types';
import type { TargetBody } from './new-target';

export interface CopyPorts {
  ask: () => Promise<All>;
  probe: (store: Tree) => Promise<StoreProbeLine[]>;
  settings: Pick<SettingsPorts, 'read' | 'change'>;
}

const browserPorts: CopyPorts = {
  ask: async () => api.get('/api/v1/sync'),
  probe: async (body) => (await api.post('/api/v1/sync/probe', { body })).lines,
  settings: box,
};

const entriesOf = (values: Tree): Tree[] => (Array.isArray(values.sync) ? (values.sync as Tree[]) : []);

export class CopyTargets {
  resource: Resource<All>;

  constructor(private readonly ports: CopyPorts = browserPorts) {
    this.resource = new Resource(() => ports.ask());
  }

  probe = ({
    endpoint,
    region,
    bucket,
    prefix,
    access_key,
    secret_key,
  }: TargetBody): Promise<StoreProbeLine[]> =>
    this.ports.probe({ endpoint, region, bucket, access_key, secret_key, ...(prefix && { prefix }) });

  probeSaved = (name: string): Promise<StoreProbeLine[]> => this.ports.probe({ name });

  add = async (target: TargetBody): Promise<void> => {
    const { values, tag } = await this.ports.settings.read();
    const sync = [...entriesOf(values), target];
    await this.ports.settings.change(null, { sync }, tag, false);
    await this.resource.reload();
  };

  /** The one in this place of the list, as long as it is still the one that was meant. */
  remove = async (place: number, { endpoint, bucket }: CopyTargetStatus): Promise<void> => {
    const { values, tag } = await this.ports.settings.read();
    const all = entriesOf(values);
    const isMeant = all[place]?.endpoint === endpoint && all[place]?.bucket === bucket;
    const sync = all.filter((_, at) => at !== place);
    if (isMeant) await this.ports.settings.change(null, { sync: sync.length > 0 ? sync : null }, tag, false);
    await this.resource.reload();
  };
}
