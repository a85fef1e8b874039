// Plays recordings by wall clock: opens ranges, knows the moment on the screen, steps and skips.
import { ApiError, Unreachable, words } from './api';
import { t } from './en';
import { type Engine, type OpenEngine, type Recorded, WantsFile, openEngine } from './playback-engine';
import { type Piece, holds, mediaAt, wallAt } from './program-time';

export type PlaybackPhase = 'idle' | 'loading' | 'playing' | 'paused' | 'ended' | 'failed';

export const RATES = [0.5, 1, 2, 4, 8];

export interface PlaybackPorts {
  openEngine: OpenEngine;
  /** Runs before each picture the browser paints, until the returned function is called. */
  eachFrame: (run: () => void) => () => void;
}

export const playbackPorts: PlaybackPorts = {
  openEngine,
  eachFrame(run) {
    let frame = 0;
    const loop = () => {
      run();
      frame = requestAnimationFrame(loop);
    };
    frame = requestAnimationFrame(loop);
    return () => cancelAnimationFrame(frame);
  },
};

export class Playback {
  phase = $state<PlaybackPhase>('idle');
  /** Why nothing plays; a sentence, or empty. */
  message = $state('');
  /** Nothing is recorded where it was asked to play. */
  isNothingThere = $state(false);
  /** The moment on the screen. */
  positionMs = $state<number | null>(null);
  rate = $state(1);
  /** The browser refused sound without a tap, so it plays muted. */
  wasMuted = $state(false);
  /** Where the opened recording ends. */
  endMs = 0;
  onEnded: () => void = () => {};
  onNothing: () => void = () => {};
  #video: HTMLVideoElement | null = null;
  /** Where the recording was opened again last, as it was not what it had been. */
  #reopenedMs: number | null = null;
  #engine: Engine | null = null;
  #turn = 0;

  constructor(
    private readonly camera: string,
    private readonly ports: PlaybackPorts = playbackPorts,
  ) {}

  /** For `use:` or `@attach`: binds the element and unbinds it. */
  attach = (video: HTMLVideoElement): (() => void) => {
    this.#video = video;
    const listeners: [string, () => void][] = [
      ['playing', () => this.#shows('playing')],
      ['pause', () => !video.ended && this.phase === 'playing' && (this.phase = 'paused')],
      ['seeked', () => this.#seeked()],
      ['loadeddata', () => this.#readPosition()],
      ['ended', () => this.#ended()],
    ];
    for (const [type, listener] of listeners) video.addEventListener(type, listener);
    const stopFrames = this.ports.eachFrame(() => {
      if (this.phase === 'playing') this.#readPosition();
    });
    return () => {
      stopFrames();
      for (const [type, listener] of listeners) video.removeEventListener(type, listener);
      this.close();
      this.#video = null;
    };
  };

  /** Plays from `seekMs`; loads `fromMs` to `toMs` unless what is loaded holds it already. */
  async open(fromMs: number, toMs: number, seekMs = fromMs, play = true): Promise<void> {
    const video = this.#video;
    if (!video) return;
    this.#reopenedMs = null;
    await this.#open(video, { camera: this.camera, fromMs, toMs }, seekMs, play);
  }

  async #open(video: HTMLVideoElement, recorded: Recorded, seekMs: number, play: boolean): Promise<void> {
    const turn = ++this.#turn;
    this.message = '';
    this.isNothingThere = false;
    this.phase = 'loading';
    this.positionMs = seekMs;
    if (this.#engine && holds(this.#pieces, seekMs)) {
      video.currentTime = mediaAt(this.#pieces, seekMs) ?? 0;
      if (play) void this.play();
      else video.pause();
      return;
    }
    this.#close();
    try {
      const engine = await this.ports.openEngine(video, recorded, (error) => {
        if (turn !== this.#turn) return;
        const wasPlaying = this.phase === 'loading' ? play : this.phase === 'playing';
        this.#broke(video, recorded, error, wasPlaying);
      });
      if (turn !== this.#turn) {
        engine.destroy();
        return;
      }
      this.#engine = engine;
      const last = this.#pieces.at(-1);
      this.endMs = last ? last.wallMs + last.durationS * 1000 : recorded.toMs;
      engine.start(mediaAt(this.#pieces, seekMs) ?? 0);
      if (play) void this.play();
      else video.pause();
    } catch (error) {
      if (turn === this.#turn) this.#failed(error);
    }
  }

  close(): void {
    this.#turn += 1;
    this.#video?.pause();
    this.#close();
    this.phase = 'idle';
    this.message = '';
    this.isNothingThere = false;
    this.positionMs = null;
  }

  async play(): Promise<void> {
    const video = this.#video;
    if (!video) return;
    video.playbackRate = this.rate;
    try {
      await video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
      // Sound needs a tap first; pictures do not.
      video.muted = true;
      this.wasMuted = true;
      await video.play().catch(() => {});
    }
  }

  toggle(): void {
    if (this.phase === 'playing') this.#video?.pause();
    else void this.play();
  }

  pause(): void {
    this.#video?.pause();
  }

  setRate(rate: number): void {
    this.rate = rate;
    if (this.#video) this.#video.playbackRate = rate;
  }

  /** One frame forth or back, paused. */
  step(frames: 1 | -1, fps: number): void {
    const video = this.#video;
    if (!video || !this.#engine) return;
    video.pause();
    video.currentTime = Math.max(0, video.currentTime + frames / Math.max(1, fps));
  }

  get #pieces(): Piece[] {
    return this.#engine?.pieces() ?? [];
  }

  #readPosition(): void {
    const ms = this.#video && wallAt(this.#pieces, this.#video.currentTime);
    if (ms !== null) this.positionMs = ms;
  }

  #shows(phase: PlaybackPhase): void {
    this.phase = phase;
    this.#readPosition();
  }

  #seeked(): void {
    if (this.#video?.paused && this.phase !== 'failed') this.#shows('paused');
  }

  #ended(): void {
    this.phase = 'ended';
    this.onEnded();
  }

  /** An opened recording plays no further. What was cut back or deleted meanwhile is opened again as it is now, what Media Source does not take as a file; from where it was shown. */
  #broke(video: HTMLVideoElement, recorded: Recorded, error: unknown, play: boolean): void {
    const at = this.positionMs ?? recorded.fromMs;
    const isChanged = error instanceof ApiError && (error.status === 416 || error.status === 404);
    const asFile = error instanceof WantsFile && !recorded.asFile;
    if (!asFile && (!isChanged || this.#reopenedMs === at)) {
      this.#failed(error);
      return;
    }
    if (isChanged) this.#reopenedMs = at;
    this.#close();
    void this.#open(video, asFile ? { ...recorded, asFile } : recorded, at, play);
  }

  #close(): void {
    this.#engine?.destroy();
    this.#engine = null;
  }

  #failed(error: unknown): void {
    this.#close();
    this.phase = 'failed';
    this.isNothingThere = error instanceof ApiError && error.status === 404;
    this.message =
      error instanceof ApiError || error instanceof Unreachable ? words(error) : t.playback.failed;
    if (this.isNothingThere) this.onNothing();
  }
}
