// A clock for tests: time passes only when a test moves it, and whatever falls due runs in its order.
import type { Clock } from '../clock';

interface Timer {
  atMs: number;
  everyMs: number | null;
  run: () => void;
}

/** Lets everything run that waits for promises only. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await Promise.resolve();
}

export class ManualClock implements Clock {
  #timers = new Set<Timer>();
  #steadyMs = 0;

  constructor(private readonly startMs = Date.UTC(2026, 4, 1, 12)) {}

  wallMs = (): number => this.startMs + this.#steadyMs;
  steadyMs = (): number => this.#steadyMs;
  after = (ms: number, run: () => void): (() => void) => this.#add(ms, null, run);
  every = (ms: number, run: () => void): (() => void) => this.#add(ms, ms, run);

  /** How many timers wait; 0 after everything was closed. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Lets time pass, with promises settled before, between and after what falls due. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#steadyMs + ms;
    await settle();
    for (let next = this.#next(endMs); next; next = this.#next(endMs)) {
      this.#steadyMs = next.atMs;
      if (next.everyMs === null) this.#timers.delete(next);
      else next.atMs += next.everyMs;
      next.run();
      await settle();
    }
    this.#steadyMs = endMs;
  }

  #next(endMs: number): Timer | undefined {
    const due = [...this.#timers].filter((timer) => timer.atMs <= endMs);
    return due.sort((a, b) => a.atMs - b.atMs)[0];
  }

  #add(ms: number, everyMs: number | null, run: () => void): () => void {
    const timer = { atMs: this.#steadyMs + ms, everyMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}
