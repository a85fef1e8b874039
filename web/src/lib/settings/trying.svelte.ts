// Looking for cameras, and trying one out before it is added: its streams first where they are not known, then what they are like.
import { isAbort, words } from '../api';
import type { Found, FoundCamera, FoundStreams, Judgement, Probed } from '../types';
import { type SourceFields, needsStreams, sourceOf } from './new-camera';
import { type FinderPorts, finder } from './ports';

/** What goes on: nothing, its streams are asked for, it is watched, it was watched, it did not come to that. */
export type Phase = 'idle' | 'streams' | 'watching' | 'tried' | 'failed';

/** What is found of cameras. */
export class Finding {
  found = $state.raw<Found | null>(null);
  busy = $state(false);
  error = $state('');
  #abort = new AbortController();

  constructor(private readonly ports: Pick<FinderPorts, 'discover'> = finder) {}

  look = async (addresses = ''): Promise<void> => {
    this.stop();
    const { signal } = (this.#abort = new AbortController());
    this.busy = true;
    this.error = '';
    try {
      const found = await this.ports.discover(addresses, signal);
      if (!signal.aborted) this.found = found;
    } catch (problem) {
      if (!isAbort(problem) && !signal.aborted) this.error = words(problem);
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  };

  stop = (): void => {
    this.#abort.abort();
    this.busy = false;
  };
}

/** One camera that is tried out. */
export class Trying {
  phase = $state<Phase>('idle');
  /** Why the box could not be asked. */
  error = $state('');
  streams = $state.raw<FoundStreams | null>(null);
  probed = $state.raw<Probed | null>(null);
  #abort = new AbortController();

  constructor(private readonly ports: Pick<FinderPorts, 'streams' | 'probe'> = finder) {}

  get busy(): boolean {
    return this.phase === 'streams' || this.phase === 'watching';
  }

  /** Whether it was seen to give pictures. */
  get works(): boolean {
    return this.phase === 'tried' && !this.judgement.some(({ weight }) => weight === 'bad');
  }

  get judgement(): Judgement[] {
    return this.probed?.judgement ?? [];
  }

  /** The picture of its large stream, as an address that an image takes. */
  get still(): string | null {
    const streams = this.probed?.streams ?? [];
    const still = streams.map((stream) => stream.still).find((data) => data !== null);
    return still ? `data:image/jpeg;base64,${still}` : null;
  }

  /** Whether it has sound that the box can take. */
  get hasSound(): boolean {
    return (this.probed?.streams ?? []).some((stream) => stream.sound !== null);
  }

  /** `model`: what is known of it. `taken` is told of the streams that were found, and gives the fields with them. */
  run = async (
    fields: SourceFields,
    model: string,
    taken: (camera: FoundCamera) => SourceFields,
  ): Promise<void> => {
    this.stop();
    const { signal } = (this.#abort = new AbortController());
    const ask = needsStreams(fields);
    this.phase = ask ? 'streams' : 'watching';
    try {
      if (ask) {
        const { place, user, password } = fields;
        const device = { address: place.trim(), username: user.trim(), password, model };
        const streams = await this.ports.streams(device, signal);
        if (signal.aborted) return;
        this.streams = streams;
        const [first] = streams.cameras;
        if (!first) {
          this.phase = 'failed';
          return;
        }
        fields = taken(first);
        this.phase = 'watching';
      }
      await this.#watch(fields, signal);
    } catch (problem) {
      if (isAbort(problem) || signal.aborted) return;
      this.error = words(problem);
      this.phase = 'failed';
    }
  };

  /** Another camera of the same device. */
  choose = async (fields: SourceFields): Promise<void> => {
    const { streams } = this;
    this.stop();
    this.streams = streams;
    const { signal } = (this.#abort = new AbortController());
    this.phase = 'watching';
    try {
      await this.#watch(fields, signal);
    } catch (problem) {
      if (isAbort(problem) || signal.aborted) return;
      this.error = words(problem);
      this.phase = 'failed';
    }
  };

  /** Ends it, and forgets what came of it. */
  stop = (): void => {
    this.#abort.abort();
    this.phase = 'idle';
    this.error = '';
    this.streams = null;
    this.probed = null;
  };

  async #watch(fields: SourceFields, signal: AbortSignal): Promise<void> {
    const probed = await this.ports.probe({ ...sourceOf(fields) }, signal);
    if (signal.aborted) return;
    this.probed = probed;
    this.phase = 'tried';
  }
}
