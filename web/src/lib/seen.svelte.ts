// Which events this browser has shown. Kept as a bounded set of ids; a fresh browser starts with nothing unseen.
import { SvelteSet } from 'svelte/reactivity';
import { Stored } from './stored.svelte';

const KEPT = 2000;

class Seen {
  /** Events that started before this moment count as seen. */
  #since = new Stored<number>('seen-since', Date.now());
  #stored = new Stored<number[]>('seen', []);
  #ids = new SvelteSet<number>(this.#stored.value);

  constructor() {
    // Written once, so that "unseen" begins with this browser's first visit.
    this.#since.value = Math.min(this.#since.value, Date.now());
  }

  has(id: number, startMs: number): boolean {
    return startMs < this.#since.value || this.#ids.has(id);
  }

  add(id: number): void {
    if (this.#ids.has(id)) return;
    this.#ids.add(id);
    this.#stored.value = [...this.#ids].sort((a, b) => b - a).slice(0, KEPT);
  }

  /** Everything up to now is seen. */
  addAll(): void {
    this.#since.value = Date.now();
    this.#ids.clear();
    this.#stored.value = [];
  }
}

export const seen = new Seen();
