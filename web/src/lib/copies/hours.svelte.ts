// How far the copies of a camera's recordings are, hour by hour, around the window of a timeline.
import { api } from '../api';
import { type Clock, browserClock } from '../clock';
import { HOUR, MINUTE, toMs } from '../time';
import { type View, endMs } from '../timeline/view';
import type { CopyHour, CopyHours } from '../types';
import { range } from '../urls';

const AGAIN_MS = MINUTE / 2;
const SETTLE_MS = 200;
/** As much on both sides is asked for, so that a drag finds something. */
const MARGIN_MS = 12 * HOUR;

export interface HourPorts {
  clock: Clock;
  ask: (camera: string, fromMs: number, toMs: number, signal: AbortSignal) => Promise<CopyHours>;
  isHidden: () => boolean;
}

const browserPorts: HourPorts = {
  clock: browserClock,
  ask: (camera, fromMs, untilMs, signal) =>
    api.get('/api/v1/cameras/{camera}/copies', { path: { camera }, query: range(fromMs, untilMs), signal }),
  isHidden: () => document.hidden,
};

export class CopiedHours {
  hours = $state.raw<readonly CopyHour[]>([]);
  reason = $state('');
  #view: View | null = null;
  /** What was asked for last. */
  #asked: { fromMs: number; toMs: number } | null = null;
  #cancelSettle: (() => void) | null = null;
  #abort: AbortController | null = null;

  constructor(
    private readonly camera: string,
    private readonly ports: HourPorts = browserPorts,
  ) {}

  /** Keeps it fresh; the returned function ends it. */
  watch(): () => void {
    const stop = this.ports.clock.every(AGAIN_MS, () => {
      if (!this.ports.isHidden()) void this.#load();
    });
    return () => {
      stop();
      this.#cancelSettle?.();
      this.#abort?.abort();
    };
  }

  /** Makes sure that the window is known. */
  show(view: View): void {
    this.#view = view;
    const asked = this.#asked;
    if (asked && asked.fromMs <= view.startMs && asked.toMs >= endMs(view)) return;
    this.#cancelSettle?.();
    this.#cancelSettle = this.ports.clock.after(asked ? SETTLE_MS : 0, () => void this.#load());
  }

  at(ms: number): CopyHour | undefined {
    return this.hours.find((hour) => toMs(hour.start) <= ms && ms < toMs(hour.start) + HOUR);
  }

  async #load(): Promise<void> {
    if (!this.#view) return;
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    const asked = { fromMs: this.#view.startMs - MARGIN_MS, toMs: endMs(this.#view) + MARGIN_MS };
    this.#asked = asked;
    try {
      const answer = await this.ports.ask(this.camera, asked.fromMs, asked.toMs, abort.signal);
      if (this.#abort !== abort) return;
      this.hours = answer.hours;
      this.reason = answer.reason;
    } catch {
      // The timeline says that the box is out of reach; what was known stays, and is asked for again.
    }
  }
}
