// What a live picture does next: when to connect, to try again, to give up a silent connection, to sleep and to wake.
// Pure: takes inputs with the time and says what to do; live.svelte.ts does it.
import { ApiError, Unreachable, words } from './api';
import { backoffMs } from './backoff';
import { t } from './en';
import type { WhepFailure } from './whep';

/** `listening`: sound comes, and no picture is wanted. */
export type LivePhase = 'idle' | 'connecting' | 'waiting-frame' | 'playing' | 'listening' | 'retrying';

export type LiveInput =
  /** `again`: at once and from the first attempt, as after a tap, another quality or the network's return. */
  | { kind: 'start' | 'stop' | 'again' | 'connected' | 'frame' | 'hidden' | 'visible' | 'left' | 'tick' }
  /** The connection broke off and joins anew; the network changed. */
  | { kind: 'interrupted' | 'network' }
  /** Whether somebody hears it: then it goes on while the page is hidden, as sound alone. */
  | { kind: 'heard'; on: boolean }
  /** Whether a picture is looked at; without one it is sound alone. */
  | { kind: 'looked'; on: boolean }
  /** The box says that it sends few pictures or none, as the connection carries no more: that none come is no fault. */
  | { kind: 'few' }
  | { kind: 'failed'; failure: WhepFailure };

/** `open` ends the connection before it, if there is one; `ask` asks the box what it sends; `restart` joins the connection anew. */
export type LiveOutput = 'open' | 'close' | 'ask' | 'restart' | null;

/** Frames that stop for so long mean that something is wrong, whatever the connection says. */
const STALL_MS = 4000;
/** A connection that joins anew shows pictures again within this, or is given up. */
const MEND_MS = 12_000;
/** So long before that the box is asked whether it sends any. */
const ASKED_MS = 1000;
/** The first may take as long as a camera that cannot be asked takes from keyframe to keyframe. */
const FIRST_FRAME_MS = 15_000;
/** A page in the background keeps its streams this long. */
const HIDDEN_MS = 30_000;
/** How often somebody who is cut off asks whether they may see again. */
const CUT_OFF_LOOK_MS = 10_000;
/** After a sleep the next frame must come within this, else a new session starts. */
const WAKE_MS = 600;
/** Where it sounded meanwhile, the connection stands: the picture is only a question and an answer away, however slow both are. */
const WAKE_HEARD_MS = 3000;

export class LiveMachine {
  phase: LivePhase = 'idle';
  /** Why there is no picture; empty while there is one. */
  message = '';
  /** The box itself was not reached, which the page says once for all pictures. */
  isBoxSilent = false;
  #isWanted = false;
  #isHidden = false;
  #isHeard = false;
  #isLooked = true;
  #isOpen = false;
  #failures = 0;
  /** Why the last attempt failed. */
  #why = '';
  /** Since when frames are expected, or the last one; null before the connection stands. */
  #frameMs: number | null = null;
  #retryMs: number | null = null;
  /** Frames stopped, and the box was asked about it. */
  #isAsked = false;
  /** Until when frames must have come again from a connection that joins anew. */
  #mendMs: number | null = null;
  #sleepMs: number | null = null;
  /** When a frame newer than `after` must have come. */
  #wake: { byMs: number; after: number | null } | null = null;

  constructor(private readonly random: () => number) {}

  /** Whether the box is to send sound alone. */
  get isSoundOnly(): boolean {
    return !this.#isLooked || (this.#isHidden && this.#isHeard);
  }

  /** When it is tried again, on the steady clock; null unless that is waited for. */
  get retryMs(): number | null {
    return this.#retryMs;
  }

  /** When `tick` is due at the latest. */
  get dueMs(): number | null {
    const due = [this.#retryMs, this.#sleepMs, this.#wake?.byMs ?? null, this.#stallMs];
    const set = due.filter((ms) => ms !== null);
    return set.length > 0 ? Math.min(...set) : null;
  }

  handle(input: LiveInput, nowMs: number): LiveOutput {
    switch (input.kind) {
      case 'start':
        if (this.#isWanted) return null;
        this.#isWanted = true;
        return this.#open(nowMs);
      case 'stop':
        this.#isWanted = false;
        this.#failures = 0;
        this.phase = 'idle';
        this.message = '';
        return this.#sleep();
      case 'again':
        return this.#again(nowMs);
      case 'connected':
        return this.#connected(nowMs);
      case 'heard':
        return this.#hear(input.on, nowMs);
      case 'looked':
        return this.#look(input.on, nowMs);
      case 'frame':
        return this.#frame(nowMs);
      case 'few':
        if (this.#frameMs !== null) this.#frameMs = nowMs;
        this.#isAsked = false;
        this.#mended();
        return null;
      case 'interrupted':
        return this.#mend(nowMs, t.live.interrupted);
      case 'network':
        // Nothing may be missing yet.
        return this.#isOpen && (this.phase === 'playing' || this.phase === 'listening')
          ? this.#mend(nowMs, '')
          : this.#again(nowMs);
      case 'failed':
        return this.#failed(input.failure, explain(input.failure), nowMs);
      case 'hidden':
        this.#isHidden = true;
        this.#sleepMs = this.#isWanted && !this.#isHeard ? nowMs + HIDDEN_MS : null;
        return null;
      case 'visible':
        return this.#visible(nowMs);
      case 'left':
        return this.#sleep();
      case 'tick':
        return this.#tick(nowMs);
    }
  }

  get #stallMs(): number | null {
    if (this.#frameMs === null || this.#isHidden || this.isSoundOnly) return null;
    if (this.#mendMs !== null) return this.#mendMs;
    if (!this.#isAsked) return this.#frameMs + STALL_MS - ASKED_MS;
    return this.#frameMs + (this.phase === 'waiting-frame' ? FIRST_FRAME_MS : STALL_MS);
  }

  #open(nowMs: number): LiveOutput {
    this.#close();
    this.#isOpen = true;
    // Trying again does not put off the sleep.
    if (this.#isHidden && !this.#isHeard) this.#sleepMs ??= nowMs + HIDDEN_MS;
    // A picture that shows stays until the next one comes.
    if (this.phase !== 'playing') this.phase = this.#failures > 0 ? 'retrying' : 'connecting';
    this.message = this.#failures > 0 ? this.#why : '';
    return 'open';
  }

  #connected(nowMs: number): LiveOutput {
    this.message = '';
    this.isBoxSilent = false;
    if (this.isSoundOnly) {
      this.phase = 'listening';
      this.#failures = 0;
      return null;
    }
    this.phase = 'waiting-frame';
    this.#frameMs = nowMs;
    return null;
  }

  #hear(on: boolean, nowMs: number): LiveOutput {
    this.#isHeard = on;
    if (!this.#isHidden || !this.#isWanted) return null;
    // Sound that is switched on, or off, from the lock screen.
    this.#sleepMs = on ? null : nowMs + HIDDEN_MS;
    return on && !this.#isOpen ? this.#again(nowMs) : null;
  }

  #look(on: boolean, nowMs: number): LiveOutput {
    if (on === this.#isLooked) return null;
    this.#isLooked = on;
    if (!on && (this.phase === 'playing' || this.phase === 'waiting-frame')) {
      this.phase = 'listening';
      this.message = '';
    } else if (on) this.#expectPicture(nowMs);
    return null;
  }

  /** After sound alone. */
  #expectPicture(nowMs: number): void {
    if (this.isSoundOnly) return;
    if (this.phase === 'listening') this.phase = 'waiting-frame';
    if (this.phase === 'waiting-frame') this.#frameMs = nowMs;
  }

  #close(): LiveOutput {
    this.#isOpen = false;
    this.#frameMs = this.#retryMs = this.#wake = this.#mendMs = null;
    this.#isAsked = false;
    return 'close';
  }

  /** Closed until somebody looks again. */
  #sleep(): LiveOutput {
    this.#sleepMs = null;
    return this.#close();
  }

  #again(nowMs: number): LiveOutput {
    if (!this.#isWanted) return null;
    this.#failures = 0;
    return this.#open(nowMs);
  }

  #frame(nowMs: number): LiveOutput {
    // A browser also draws a black frame when a connection that never worked is closed: that is no picture.
    if (this.phase !== 'waiting-frame' && this.phase !== 'playing') return null;
    if (this.#frameMs !== null) this.#frameMs = nowMs;
    this.phase = 'playing';
    this.#isAsked = false;
    this.#mendMs = null;
    this.isBoxSilent = false;
    this.message = '';
    this.#failures = 0;
    return null;
  }

  /** The picture stays while its connection joins anew; that is said unless frames come all the same. */
  #mend(nowMs: number, why: string): LiveOutput {
    if (!this.#isOpen || (this.phase !== 'playing' && this.phase !== 'listening')) return null;
    // Of sound alone the connection itself says whether it came back.
    if (this.isSoundOnly) return 'restart';
    this.#mendMs ??= nowMs + MEND_MS;
    this.message = why;
    return 'restart';
  }

  #mended(): void {
    if (this.#mendMs === null) return;
    this.#mendMs = null;
    this.message = '';
  }

  #failed(failure: WhepFailure, why: string, nowMs: number): LiveOutput {
    this.#close();
    const isSignedOut =
      failure.kind === 'request' && failure.error instanceof ApiError && failure.error.status === 401;
    if (!this.#isWanted || isSignedOut || failure.kind === 'refused') {
      // Nobody is let in by trying again.
      this.phase = 'idle';
      this.message = this.#isWanted ? why : '';
      return 'close';
    }
    this.#failures += 1;
    this.#why = why;
    const isCutOff =
      failure.kind === 'request' && failure.error instanceof ApiError && failure.error.problem.cut_off;
    // Until when is known, but whoever did it may let them in before that.
    const waitMs = isCutOff ? CUT_OFF_LOOK_MS : backoffMs(this.#failures, this.random());
    this.phase = 'retrying';
    this.message = why;
    this.isBoxSilent = failure.kind === 'request' && failure.error instanceof Unreachable;
    this.#retryMs = nowMs + waitMs;
    return 'close';
  }

  #visible(nowMs: number): LiveOutput {
    const wasSoundOnly = this.isSoundOnly;
    this.#isHidden = false;
    this.#sleepMs = null;
    // The timer may have slept with the phone: no session or a silent one makes room for a new one.
    if (!this.#isOpen) return this.#again(nowMs);
    if (this.isSoundOnly) return null;
    this.#expectPicture(nowMs);
    if (this.#frameMs !== null) this.#frameMs = nowMs;
    this.#mendMs = null;
    this.#wake = { byMs: nowMs + (wasSoundOnly ? WAKE_HEARD_MS : WAKE_MS), after: this.#frameMs };
    return null;
  }

  #tick(nowMs: number): LiveOutput {
    const isDue = (ms: number | null) => ms !== null && ms <= nowMs;
    if (isDue(this.#sleepMs)) return this.#sleep();
    if (isDue(this.#retryMs)) return this.#open(nowMs);
    if (this.#wake && isDue(this.#wake.byMs)) {
      const isSilent = this.phase === 'playing' && this.#frameMs === this.#wake.after;
      this.#wake = null;
      if (isSilent) return this.#again(nowMs);
    }
    if (!isDue(this.#stallMs)) return null;
    if (this.#mendMs !== null || (this.#isAsked && this.phase !== 'playing'))
      return this.#failed({ kind: 'lost' }, t.live.noFrames, nowMs);
    if (this.#isAsked) return this.#mend(nowMs, t.live.interrupted);
    this.#isAsked = true;
    return 'ask';
  }
}

function explain(failure: WhepFailure): string {
  switch (failure.kind) {
    case 'blocked':
      return t.live.blockedBy[failure.relay ?? 'none'];
    case 'lost':
      return t.live.lost;
    case 'ended':
      return t.live.ended;
    case 'request':
    case 'refused':
      if (failure.error instanceof Unreachable) return t.live.unreachable;
      if (failure.error instanceof ApiError) return words(failure.error);
      return t.live.unsupported;
  }
}
