// Trying again by oneself: ever more slowly, at once when asked, and with the moment of the next try for a countdown.
import { backoffMs } from './backoff';
import type { Clock } from './clock';

export interface RetryPorts {
  clock: Clock;
  random: () => number;
  attempt: () => void;
  /** When the next attempt is made, milliseconds since the epoch; null while none is waited for. */
  onDue: (dueMs: number | null) => void;
}

/** A box that comes back is noticed within so long. */
const LONGEST_MS = 5000;

export class Retry {
  #failures = 0;
  #cancel: () => void = () => {};
  #isWaiting = false;

  constructor(private readonly ports: RetryPorts) {}

  /** The attempt failed: the next one is made after a while. */
  failed(): void {
    const { clock, random } = this.ports;
    this.#failures += 1;
    const waitMs = Math.min(backoffMs(this.#failures, random()), LONGEST_MS);
    this.#cancel();
    this.#isWaiting = true;
    this.#cancel = clock.after(waitMs, () => this.#attempt());
    this.ports.onDue(clock.wallMs() + waitMs);
  }

  /** The attempt worked. */
  worked(): void {
    this.#failures = 0;
    this.#stopWaiting();
  }

  /** Does not wait any longer: somebody asks for it, or the network is back. Does nothing while an attempt is being made. */
  now = (): void => {
    if (!this.#isWaiting) return;
    this.#failures = 0;
    this.#attempt();
  };

  stop(): void {
    this.worked();
  }

  #attempt(): void {
    this.#stopWaiting();
    this.ports.attempt();
  }

  #stopWaiting(): void {
    this.#cancel();
    this.#isWaiting = false;
    this.ports.onDue(null);
  }
}
