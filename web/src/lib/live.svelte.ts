// A live picture that keeps itself alive: starts, tries again with backoff, sleeps while nobody looks, wakes at once.
import { ApiError, Unreachable, words } from './api';
import { t } from './en';
import type { StreamChoice } from './types';
import { type WhepFailure, WhepSession } from './whep';

export type LivePhase = 'idle' | 'connecting' | 'waiting-frame' | 'playing' | 'retrying';

const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15_000];
/** Frames that stop for so long mean that something is wrong, whatever the connection says. */
const STALL_MS = 4000;
/** The first may take as long as a camera that cannot be told takes from keyframe to keyframe. */
const FIRST_FRAME_MS = 15_000;
const CHECK_MS = 500;
/** A page in the background keeps its streams this long. */
const HIDDEN_MS = 30_000;
/** After a sleep the next frame must come within this, else the session is begun anew. */
const WAKE_MS = 600;

export class LivePlayer {
  phase = $state<LivePhase>('idle');
  /** Why there is no picture and what happens next; empty while there is one. */
  message = $state('');
  media = $state.raw<MediaStream | null>(null);
  #session: WhepSession | null = null;
  #attempt = 0;
  #lastFrameMs = 0;
  #wanted = false;
  #check: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #hide: ReturnType<typeof setTimeout> | undefined;
  #wake: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly camera: string,
    private stream: StreamChoice,
  ) {}

  get peer(): RTCPeerConnection | null {
    return this.#session?.peer ?? null;
  }

  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    document.addEventListener('visibilitychange', this.#visibility);
    addEventListener('pagehide', this.#leave);
    addEventListener('pageshow', this.#comeBack);
    addEventListener('online', this.#restartNow);
    this.#begin();
  }

  stop(): void {
    this.#wanted = false;
    document.removeEventListener('visibilitychange', this.#visibility);
    removeEventListener('pagehide', this.#leave);
    removeEventListener('pageshow', this.#comeBack);
    removeEventListener('online', this.#restartNow);
    clearTimeout(this.#hide);
    clearTimeout(this.#wake);
    this.#end();
    this.phase = 'idle';
  }

  /** Another quality: the picture stays until the new one comes. */
  use(stream: StreamChoice): void {
    if (stream === this.stream) return;
    this.stream = stream;
    if (this.#wanted) this.#restartNow();
  }

  /** The video element drew a frame. */
  frame(): void {
    // A browser also draws a black frame when a connection that never worked is closed: that is no picture.
    if (this.phase !== 'waiting-frame' && this.phase !== 'playing') return;
    this.#lastFrameMs = performance.now();
    if (this.phase === 'playing') return;
    this.phase = 'playing';
    this.message = '';
    this.#attempt = 0;
  }

  retryNow = (): void => this.#restartNow();

  #begin(): void {
    this.#end();
    if (this.phase !== 'playing') this.phase = this.#attempt > 0 ? 'retrying' : 'connecting';
    const session = new WhepSession(this.camera, this.stream, {
      onStream: (media) => {
        if (session === this.#session) this.media = media;
      },
      onConnected: () => {
        if (session !== this.#session) return;
        this.phase = 'waiting-frame';
        this.message = '';
        this.#lastFrameMs = performance.now();
        this.#check ??= setInterval(() => this.#checkFrames(), CHECK_MS);
      },
      onFailure: (failure) => {
        if (session === this.#session) this.#failed(failure);
      },
    });
    this.#session = session;
    void session.start();
  }

  #end(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#check);
    this.#check = undefined;
    const session = this.#session;
    this.#session = null;
    session?.close();
  }

  #restartNow = (): void => {
    if (!this.#wanted) return;
    this.#attempt = 0;
    this.#begin();
  };

  #checkFrames(): void {
    const patience = this.phase === 'waiting-frame' ? FIRST_FRAME_MS : STALL_MS;
    if (document.hidden || performance.now() - this.#lastFrameMs < patience) return;
    this.#failed({ kind: 'lost' }, t.live.noFrames);
  }

  #failed(failure: WhepFailure, why = explain(failure)): void {
    this.#end();
    const isSignedOut =
      failure.kind === 'request' && failure.error instanceof ApiError && failure.error.status === 401;
    if (!this.#wanted || isSignedOut) return;
    const wait = BACKOFF_MS[Math.min(this.#attempt, BACKOFF_MS.length - 1)]! * (0.8 + Math.random() * 0.4);
    this.#attempt += 1;
    this.phase = 'retrying';
    this.message = wait < 1500 ? why : `${why} ${t.live.tryingAgain(Math.round(wait / 1000))}`;
    this.#retry = setTimeout(() => this.#begin(), wait);
  }

  #visibility = (): void => {
    clearTimeout(this.#hide);
    if (document.hidden) {
      this.#hide = setTimeout(() => this.#end(), HIDDEN_MS);
      return;
    }
    // The timer may have slept with the phone: no session or a silent one is begun anew.
    if (!this.#session) {
      this.#restartNow();
      return;
    }
    const before = this.#lastFrameMs;
    clearTimeout(this.#wake);
    this.#wake = setTimeout(() => {
      if (this.phase === 'playing' && this.#lastFrameMs === before) this.#restartNow();
    }, WAKE_MS);
  };

  #leave = (): void => this.#end();

  #comeBack = (event: PageTransitionEvent): void => {
    if (event.persisted) this.#restartNow();
  };
}

function explain(failure: WhepFailure): string {
  switch (failure.kind) {
    case 'blocked':
      return t.live.blocked;
    case 'lost':
      return t.live.lost;
    case 'ended':
      return t.live.ended;
    case 'request':
      if (failure.error instanceof Unreachable) return t.live.unreachable;
      if (failure.error instanceof ApiError) return words(failure.error);
      return t.live.unsupported;
  }
}
