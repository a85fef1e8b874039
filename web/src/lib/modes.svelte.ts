// What is switched off and which profile is active, kept fresh by notices, and what people do about it.
import { api } from './api';
import { appearance } from './appearance.svelte';
import { notices } from './notices.svelte';
import { Resource } from './resource.svelte';
import type { Modes } from './types';

class ModesState {
  resource = new Resource<Modes>(async () => {
    const found = await api.get('/api/v1/modes');
    appearance.boxZone = found.time_zone;
    return found;
  });

  get view(): Modes | null {
    return this.resource.data ?? null;
  }

  /** Whether anything of it is shown above the cameras to somebody who may change it, or may not. */
  isTold(mayManage: boolean): boolean {
    const { view } = this;
    return view !== null && (mayManage || view.profile !== null || view.whole !== null);
  }

  /** Starts keeping it; the returned function ends it. */
  watch(): () => void {
    void this.resource.reload();
    return notices.listen((notice) => {
      if (notice.type === 'modes') void this.resource.reload();
    }, this.resource.reload);
  }

  /** Switches cameras off; null is the whole box. */
  switchOff = async (cameras: string[] | null, untilMs: number | null): Promise<void> => {
    const until = untilMs === null ? null : new Date(untilMs).toISOString();
    this.resource.data = await api.put('/api/v1/privacy', { body: { on: true, cameras, until } });
  };

  switchOn = async (cameras: string[] | null): Promise<void> => {
    this.resource.data = await api.put('/api/v1/privacy', { body: { on: false, cameras } });
  };

  /** Makes a profile the active one; null leaves that to the schedules. */
  choose = async (name: string | null): Promise<void> => {
    this.resource.data = await api.put('/api/v1/profile', { body: { name } });
  };
}

export const modes = new ModesState();
