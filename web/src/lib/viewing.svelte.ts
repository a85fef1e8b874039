// What the camera page shows: live, a moment under the finger, or a recording; and the timeline's window over it.
import { Playback, type PlaybackPorts, playbackPorts } from './playback.svelte';
import { type LoadImage, Stills, loadImage } from './stills.svelte';
import { t } from './en';
import { HOUR, MINUTE, SECOND, clockTime, toMs } from './time';
import { TimelineData, type TimelinePorts, timelinePorts } from './timeline/data.svelte';
import { type View, contains, follow, liveView, reveal } from './timeline/view';
import type { PerchEvent } from './types';

export type Mode = 'live' | 'scrub' | 'play' | 'nothing';

/** Closer to now than this is live. */
const LIVE_EDGE_MS = 3 * SECOND;
/** A recording that ends so close to now goes on as live. */
const CATCH_UP_MS = 20 * SECOND;
/** How much is opened at once; what follows is opened as it ends. */
const CHUNK_MS = 10 * MINUTE;
/** Keys and drags settle for so long before the recording is opened. */
const SETTLE_MS = 250;
const TIMELINE_WAIT_MS = 1500;
/** Playing an event begins a little before it. */
export const LEAD_MS = 3 * SECOND;
/** Holes shorter than this are skipped without a word. */
const SMALL_HOLE_MS = 5 * SECOND;

export interface ViewingPorts extends TimelinePorts, PlaybackPorts {
  loadImage: LoadImage;
}

const browserPorts: ViewingPorts = { ...timelinePorts, ...playbackPorts, loadImage };

export class Viewing {
  mode = $state<Mode>('live');
  view = $state.raw<View>({ startMs: 0, spanMs: HOUR });
  /** Where a scrub or seek stands. */
  #momentMs = $state(0);
  /** Why nothing can be shown at this moment. */
  nothing = $state('');
  nextMs = $state<number | null>(null);
  isDragging = $state(false);
  readonly data: TimelineData;
  readonly playback: Playback;
  readonly stills: Stills;
  #cancelSettle: () => void = () => {};
  /** Where the playhead was at the last tick. */
  #playedMs = 0;

  constructor(
    readonly camera: string,
    private readonly ports: ViewingPorts = browserPorts,
  ) {
    this.#momentMs = ports.clock.wallMs();
    this.view = liveView(HOUR, this.#momentMs);
    this.data = new TimelineData(camera, ports);
    this.playback = new Playback(camera, ports);
    this.stills = new Stills(camera, 480, ports.loadImage);
    this.playback.onEnded = () => this.#continueAfter(this.playback.endMs);
    this.playback.onNothing = () => this.#showNothing(this.#momentMs);
  }

  /** The moment on the screen; `nowMs` while live. */
  momentMs(nowMs: number): number {
    if (this.mode === 'live') return nowMs;
    if (this.mode === 'play') return this.playback.positionMs ?? this.#momentMs;
    return this.#momentMs;
  }

  goLive(): void {
    this.#cancelSettle();
    this.mode = 'live';
    this.playback.close();
    this.view = liveView(this.view.spanMs, this.#nowMs);
  }

  /** Shows the still of a moment at once, without playing. */
  scrub(ms: number): void {
    this.#cancelSettle();
    this.playback.pause();
    this.mode = 'scrub';
    this.#momentMs = ms;
    const gap = this.data.gapAt(ms);
    this.nothing = gap ? gap.words : '';
    const span = this.data.spanAt(ms);
    // What was written a moment ago is not in the timeline yet.
    if (span || ms > this.#nowMs - CATCH_UP_MS)
      this.stills.show(ms, this.view.spanMs / 400, span?.startMs ?? 0);
    else this.stills.showNone();
  }

  /** Goes to a moment: the still at once, the recording when the finger rests. */
  seek(ms: number, settleMs = SETTLE_MS): void {
    if (ms >= this.#nowMs - LIVE_EDGE_MS) {
      this.goLive();
      return;
    }
    this.scrub(ms);
    this.view = reveal(this.view, ms, this.#nowMs);
    this.#cancelSettle = this.ports.clock.after(settleMs, () => void this.playFrom(ms));
  }

  async playFrom(ms: number): Promise<void> {
    this.#cancelSettle();
    if (!this.data.knows(ms)) {
      // A far jump: a moment's wait tells a gap from a recording.
      await this.data.settled(TIMELINE_WAIT_MS);
      if (this.#momentMs !== ms || this.mode === 'live') return;
    }
    let fromMs = ms;
    const isKnown = this.data.knows(ms) && ms < this.#nowMs - CATCH_UP_MS;
    if (isKnown && !this.data.spanAt(ms)) {
      const next = this.data.nextRecorded(ms);
      if (next === null || next - ms > SMALL_HOLE_MS) {
        this.#showNothing(ms);
        return;
      }
      fromMs = next;
    }
    this.mode = 'play';
    this.#momentMs = fromMs;
    this.#playedMs = fromMs;
    void this.playback.open(fromMs, Math.min(fromMs + CHUNK_MS, this.#nowMs), fromMs);
  }

  playEvent(event: PerchEvent): void {
    const ms = toMs(event.start);
    // A little before the event, but not before its recording.
    const span = this.data.spanAt(ms);
    this.seek(span ? Math.max(span.startMs, ms - LEAD_MS) : ms - LEAD_MS, 0);
  }

  /** The next recorded thing after a gap. */
  goNext(): void {
    if (this.nextMs !== null) this.seek(this.nextMs, 0);
  }

  skip(deltaMs: number): void {
    const ms = this.momentMs(this.#nowMs) + deltaMs;
    // A short step back leaves live, too.
    const leaves = this.mode === 'live' && deltaMs < 0;
    this.seek(leaves ? Math.min(ms, this.#nowMs - LIVE_EDGE_MS - 1) : ms);
  }

  /** Called each second: keeps a live window at now and a playing one at its playhead. */
  tick(beforeMs: number, nowMs: number): void {
    if (this.isDragging) return;
    if (this.mode === 'live' && contains(this.view, beforeMs)) {
      this.view = { ...this.view, startMs: this.view.startMs + (nowMs - beforeMs) };
    } else if (this.mode === 'play') {
      const momentMs = this.momentMs(nowMs);
      this.view = follow(this.view, this.#playedMs, momentMs, nowMs);
      this.#playedMs = momentMs;
    }
  }

  close(): void {
    this.#cancelSettle();
    this.playback.close();
  }

  get #nowMs(): number {
    return this.ports.clock.wallMs();
  }

  #showNothing(ms: number): void {
    const gap = this.data.gapAt(ms);
    this.playback.close();
    this.mode = 'nothing';
    this.#momentMs = ms;
    this.nextMs = this.data.nextRecorded(ms);
    this.nothing = gap
      ? `${t.timeline.gapText(gap.words, clockTime(gap.startMs), clockTime(gap.endMs))}.`
      : t.timeline.nothing;
  }

  #continueAfter(ms: number): void {
    if (this.mode !== 'play') return;
    if (this.#nowMs - ms < CATCH_UP_MS) {
      this.goLive();
      return;
    }
    const nextMs = this.data.nextRecorded(ms + 100) ?? ms + 100;
    this.#momentMs = nextMs;
    // Over a gap the window comes along, if it showed where it began.
    if (contains(this.view, ms)) this.view = reveal(this.view, nextMs, this.#nowMs);
    void this.playFrom(nextMs);
  }
}
