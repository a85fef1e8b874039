// When a live picture comes over HTTPS instead of WebRTC, and as which stream. Pure: takes inputs with the time; LiveVideo and LiveFallback obey.
import type { StreamChoice } from './types';

/** WebRTC may take so long. */
export const FALLBACK_AFTER_MS = 5000;
/** After a failure it is opened again. */
export const REOPEN_MS = 3000;
/** So many stalls within so long mean that the connection does not carry the large stream. */
const STALLS = 3;
const STALLS_WITHIN_MS = 20_000;

/** What is known of the direct connection. */
export interface DirectState {
  /** Somebody looks, the camera has a picture, and the box answers. */
  isWanted: boolean;
  /** The direct connection shows a picture, or only waits for its first one. */
  isDirect: boolean;
}

/** Whether HTTPS is to be used meanwhile. */
export class FallbackMachine {
  isOn = false;
  #missingMs: number | null = null;

  /** When `handle` is to be called again at the latest; null: when something changes. */
  get dueMs(): number | null {
    return this.isOn || this.#missingMs === null ? null : this.#missingMs + FALLBACK_AFTER_MS;
  }

  handle({ isWanted, isDirect }: DirectState, nowMs: number): void {
    if (!isWanted || isDirect) {
      this.isOn = false;
      this.#missingMs = null;
      return;
    }
    this.#missingMs ??= nowMs;
    this.isOn ||= nowMs - this.#missingMs >= FALLBACK_AFTER_MS;
  }
}

/** Which stream HTTPS carries: the one that is asked for, or the small one where it stalls and the choice is the page's. */
export class FallbackStream {
  #stalls: number[] = [];
  #isSmall = false;

  constructor(private readonly asked: StreamChoice) {}

  get stream(): StreamChoice {
    return this.#isSmall ? 'sub' : this.asked;
  }

  /** Whether the stream changed. */
  stalled(nowMs: number): boolean {
    if (this.asked !== 'auto' || this.#isSmall) return false;
    this.#stalls = [...this.#stalls.filter((ms) => nowMs - ms < STALLS_WITHIN_MS), nowMs];
    this.#isSmall = this.#stalls.length >= STALLS;
    return this.#isSmall;
  }
}
