// What the box has recorded around the window of a timeline: loaded wide, kept fresh at its live end.
import { api, isAbort, words } from '../api';
import { type Clock, browserClock } from '../clock';
import type { Listener } from '../news';
import { notices } from '../notices.svelte';
import { SECOND, toMs } from '../time';
import { gapWords } from '../off-words';
import type { PerchEvent, Timeline } from '../types';
import { range } from '../urls';
import {
  type GapStretch,
  type SpanStretch,
  type Stretch,
  eventNear,
  mergeTimelines,
  nextIn,
  stretchAt,
} from './layout';
import type { View } from './view';
import { type Range, TAIL_MS, tailRange, wideRange, withEvent } from './windows';

const SETTLE_MS = 120;

export interface TimelinePorts {
  clock: Clock;
  ask: (camera: string, range: Range, signal: AbortSignal) => Promise<Timeline>;
  listen: (listener: Listener) => () => void;
  isHidden: () => boolean;
}

export const timelinePorts: TimelinePorts = {
  clock: browserClock,
  ask: (camera, { fromMs, toMs }, signal) =>
    api.get('/api/v1/cameras/{camera}/timeline', { path: { camera }, query: range(fromMs, toMs), signal }),
  listen: (listener) => notices.listen(listener),
  isHidden: () => document.hidden,
};

export class TimelineData {
  #timeline = $state.raw<Timeline | null>(null);
  error = $state('');
  readonly spans = $derived<SpanStretch[]>(
    (this.#timeline?.spans ?? []).map((span) => ({ ...stretch(span), held: span.held })),
  );
  readonly gaps = $derived<GapStretch[]>(
    (this.#timeline?.gaps ?? []).map((gap) => ({ ...stretch(gap), words: gapWords(gap) })),
  );
  readonly events = $derived<PerchEvent[]>(this.#timeline?.events ?? []);
  #abort: AbortController | null = null;
  /** Events that came while an answer was on its way: the answer may not hold them yet. */
  #meanwhile: PerchEvent[] = [];
  #cancelSettle: (() => void) | null = null;
  #view: View | null = null;
  #waiting: (() => void)[] = [];

  constructor(
    private readonly camera: string,
    private readonly ports: TimelinePorts = timelinePorts,
  ) {}

  /** Whether what was recorded at a moment is known. */
  knows(ms: number): boolean {
    return this.#timeline !== null && toMs(this.#timeline.from) <= ms && ms <= toMs(this.#timeline.to);
  }

  /** Resolves when nothing is on its way any more, at the latest after `limitMs`. */
  settled(limitMs: number): Promise<void> {
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((done) => {
      const cancel = this.ports.clock.after(limitMs, done);
      this.#waiting.push(() => (cancel(), done()));
    });
  }

  get loaded(): boolean {
    return this.#timeline !== null;
  }

  /** Keeps the live end fresh and takes events as they come; the returned function ends it. */
  watch(): () => void {
    const stopListening = this.ports.listen((notice) => {
      if (notice.type === 'event' && notice.event.camera === this.camera) this.#put(notice.event);
    });
    const stopTail = this.ports.clock.every(TAIL_MS, () => this.#loadTail());
    return () => {
      stopListening();
      stopTail();
      this.#cancelSettle?.();
      this.#cancelSettle = null;
      this.#abort?.abort();
      this.#abort = null;
      this.#wakeWaiting();
    };
  }

  /** Makes sure that the window is loaded, with as much again on both sides. */
  show(view: View): void {
    this.#view = view;
    if (!this.#wide()) return;
    this.#cancelSettle?.();
    this.#cancelSettle = this.ports.clock.after(this.#timeline ? SETTLE_MS : 0, () => {
      this.#cancelSettle = null;
      const wide = this.#wide();
      if (wide) void this.#load(wide, false);
      else this.#wakeWaiting();
    });
  }

  retry = (): void => {
    this.error = '';
    this.#timeline = null;
    if (this.#view) this.show(this.#view);
  };

  spanAt = (ms: number): SpanStretch | undefined => stretchAt(this.spans, ms);
  gapAt = (ms: number): GapStretch | undefined => stretchAt(this.gaps, ms);
  nextRecorded = (ms: number): number | null => nextIn(this.spans, ms);
  eventNear = (view: View, width: number, x: number, reachPx: number): PerchEvent | undefined =>
    eventNear(this.events, view, width, x, reachPx);

  /** The nearest event that starts after (1) or before (-1) a moment. */
  neighbour(ms: number, direction: 1 | -1): PerchEvent | undefined {
    return direction > 0
      ? this.events.find((event) => toMs(event.start) > ms + SECOND)
      : this.events.findLast((event) => toMs(event.start) < ms - SECOND);
  }

  get #isBusy(): boolean {
    return this.#abort !== null || this.#cancelSettle !== null;
  }

  #wide(): Range | null {
    return this.#view && wideRange(this.#view, this.#timeline, this.ports.clock.wallMs());
  }

  #loadTail(): void {
    if (this.#isBusy || this.ports.isHidden()) return;
    const tail = tailRange(this.#view, this.#timeline, this.ports.clock.wallMs());
    if (tail) void this.#load(tail, true);
  }

  async #load(asked: Range, isTail: boolean): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#meanwhile = [];
    try {
      const fresh = await this.ports.ask(this.camera, asked, abort.signal);
      // An answer that was overtaken is of no use, even if it came.
      if (this.#abort !== abort) return;
      const merged = isTail && this.#timeline ? mergeTimelines(this.#timeline, fresh) : fresh;
      this.#timeline = this.#meanwhile.reduce(withEvent, merged);
      this.error = '';
    } catch (error) {
      if (this.#abort === abort && !isAbort(error) && !isTail) this.error = words(error);
    } finally {
      if (this.#abort === abort) {
        this.#abort = null;
        this.#wakeWaiting();
      }
    }
  }

  #put(event: PerchEvent): void {
    if (this.#abort) this.#meanwhile.push(event);
    if (this.#timeline) this.#timeline = withEvent(this.#timeline, event);
  }

  #wakeWaiting(): void {
    if (!this.#isBusy) for (const wake of this.#waiting.splice(0)) wake();
  }
}

function stretch(span: { start: string; end: string }): Stretch {
  return { startMs: toMs(span.start), endMs: toMs(span.end) };
}
