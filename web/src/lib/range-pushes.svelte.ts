// The clips of one camera that are being sent to other servers, and the last that were: followed while any is under way.
import { api } from './api';
import { type Clock, browserClock } from './clock';
import { range } from './urls';
import type { RangePush } from './types';

const PAUSE_MS = 1000;

/** Whether it goes on. */
export const isUnderWay = (push: RangePush): boolean =>
  push.state === 'connecting' || push.state === 'sending';

export class RangePushes {
  all = $state.raw<RangePush[]>([]);
  readonly #ends = new AbortController();
  #isFollowed = false;

  constructor(
    private readonly camera: string,
    private readonly clock: Clock = browserClock,
  ) {}

  /** Looks once, and again for as long as any goes on. */
  async follow(): Promise<void> {
    if (this.#isFollowed) return;
    this.#isFollowed = true;
    const { signal } = this.#ends;
    do {
      try {
        const { camera } = this;
        this.all = (
          await api.get('/api/v1/cameras/{camera}/push-range', { path: { camera }, signal })
        ).pushes;
      } catch {
        // The page says elsewhere that the box is out of reach; how they were stays.
      }
      if (signal.aborted || !this.all.some(isUnderWay)) break;
      await new Promise<void>((done) => this.clock.after(PAUSE_MS, done));
    } while (!signal.aborted);
    this.#isFollowed = false;
  }

  async begin(fromMs: number, toMs: number, url: string): Promise<void> {
    const body = { ...range(fromMs, toMs), url };
    const begun = await api.post('/api/v1/cameras/{camera}/push-range', {
      path: { camera: this.camera },
      body,
    });
    this.all = [begun, ...this.all];
    void this.follow();
  }

  /** Stops one, or takes one that is over off the list. */
  async end(push: RangePush): Promise<void> {
    const path = { camera: this.camera, push: String(push.id) };
    await api.delete('/api/v1/cameras/{camera}/push-range/{push}', { path });
    if (!isUnderWay(push)) this.all = this.all.filter(({ id }) => id !== push.id);
    void this.follow();
  }

  close(): void {
    this.#ends.abort();
  }
}
