// What the box has recorded around the window of a timeline: loaded wide, kept fresh at its live end.
import { api, isAbort, words } from '../api';
import { notices } from '../notices.svelte';
import { MINUTE, SECOND, toMs } from '../time';
import type { GapCause, PerchEvent, Timeline } from '../types';
import { urls } from '../urls';
import { type Stretch, eventNear, mergeTimelines, nextIn, stretchAt } from './layout';
import { type View, endMs } from './view';

const TAIL_MS = 10 * SECOND;
const SETTLE_MS = 120;

export class TimelineData {
  #timeline = $state.raw<Timeline | null>(null);
  error = $state('');
  readonly spans = $derived<Stretch[]>((this.#timeline?.spans ?? []).map(stretch));
  readonly gaps = $derived<(Stretch & { cause: GapCause })[]>(
    (this.#timeline?.gaps ?? []).map((gap) => ({ ...stretch(gap), cause: gap.cause })),
  );
  readonly events = $derived<PerchEvent[]>(this.#timeline?.events ?? []);
  #abort: AbortController | null = null;
  #settle: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;
  #view: View | null = null;

  constructor(private readonly camera: string) {}

  /** Whether what was recorded at a moment is known. */
  knows(ms: number): boolean {
    return this.#timeline !== null && toMs(this.#timeline.from) <= ms && ms <= toMs(this.#timeline.to);
  }

  /** Resolves when nothing is on its way any more, at the latest after `limitMs`. */
  async settled(limitMs: number): Promise<void> {
    const endMs = Date.now() + limitMs;
    while ((this.#abort || this.#isDue) && Date.now() < endMs) {
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  get loaded(): boolean {
    return this.#timeline !== null;
  }

  /** Keeps the live end fresh and takes events as they come; the returned function ends it. */
  watch(): () => void {
    const stop = notices.listen((notice) => {
      if (notice.type === 'event' && notice.event.camera === this.camera) this.#put(notice.event);
    });
    const timer = setInterval(() => this.#loadTail(), TAIL_MS);
    return () => {
      stop();
      clearInterval(timer);
      clearTimeout(this.#settle);
      this.#abort?.abort();
    };
  }

  /** Sees to it that the window is loaded, with as much again on both sides. */
  show(view: View): void {
    this.#view = view;
    if (this.#covers(view)) return;
    clearTimeout(this.#settle);
    this.#isDue = true;
    this.#settle = setTimeout(
      () => {
        this.#isDue = false;
        const margin = Math.max(view.spanMs, 10 * MINUTE);
        void this.#load(view.startMs - margin, endMs(view) + margin, false);
      },
      this.#timeline ? SETTLE_MS : 0,
    );
  }

  retry = (): void => {
    this.error = '';
    this.#timeline = null;
    if (this.#view) this.show(this.#view);
  };

  spanAt = (ms: number): Stretch | undefined => stretchAt(this.spans, ms);
  gapAt = (ms: number): (Stretch & { cause: GapCause }) | undefined => stretchAt(this.gaps, ms);
  nextRecorded = (ms: number): number | null => nextIn(this.spans, ms);
  eventNear = (view: View, width: number, x: number, reachPx: number): PerchEvent | undefined =>
    eventNear(this.events, view, width, x, reachPx);

  /** The nearest event that starts after (1) or before (-1) a moment. */
  neighbour(ms: number, direction: 1 | -1): PerchEvent | undefined {
    return direction > 0
      ? this.events.find((event) => toMs(event.start) > ms + SECOND)
      : this.events.findLast((event) => toMs(event.start) < ms - SECOND);
  }

  #covers(view: View): boolean {
    if (!this.#timeline) return false;
    const to = Math.min(endMs(view), Date.now() - 2 * TAIL_MS);
    return toMs(this.#timeline.from) <= view.startMs && toMs(this.#timeline.to) >= to;
  }

  async #load(fromMs: number, toMs_: number, isTail: boolean): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const to = Math.min(toMs_, Date.now() + SECOND);
    try {
      const fresh = await api.get<Timeline>(urls.timeline(this.camera, fromMs, to), { signal: abort.signal });
      this.#timeline = isTail && this.#timeline ? mergeTimelines(this.#timeline, fresh) : fresh;
      this.error = '';
    } catch (error) {
      if (!isAbort(error) && !isTail) this.error = words(error);
    } finally {
      if (this.#abort === abort) this.#abort = null;
    }
  }

  #loadTail(): void {
    const { startMs: _, ...view } = this.#view ?? { startMs: 0, spanMs: 0 };
    const nowMs = Date.now();
    const isAtLiveEnd = this.#view && endMs(this.#view) > nowMs - view.spanMs * 0.1;
    if (!this.#timeline || !isAtLiveEnd || document.hidden || this.#abort) return;
    // A little of the past too: an open file's last entry may have grown.
    const from = Math.min(toMs(this.#timeline.to), nowMs) - 2 * MINUTE;
    void this.#load(Math.max(from, toMs(this.#timeline.from)), nowMs, true);
  }

  #put(event: PerchEvent): void {
    if (!this.#timeline || toMs(event.start) < toMs(this.#timeline.from)) return;
    const others = this.#timeline.events.filter((other) => other.id !== event.id);
    this.#timeline = { ...this.#timeline, events: [...others, event].sort((a, b) => a.id - b.id) };
  }
}

function stretch(span: { start: string; end: string }): Stretch {
  return { startMs: toMs(span.start), endMs: toMs(span.end) };
}
