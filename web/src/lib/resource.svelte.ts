// A piece of data from the box with its four states: loading, there, failed, out of reach.
import { Unreachable, isAbort, words } from './api';

export class Resource<T> {
  data = $state.raw<T | null>(null);
  /** A sentence, or empty. Data that was loaded before stays beside it. */
  error = $state('');
  offline = $state(false);
  loading = $state(false);
  #load: () => Promise<T>;
  #turn = 0;

  constructor(load: () => Promise<T>) {
    this.#load = load;
  }

  /** Loads, or loads again; an older answer never overwrites a newer one. */
  reload = async (): Promise<void> => {
    const turn = ++this.#turn;
    this.loading = true;
    try {
      const data = await this.#load();
      if (turn !== this.#turn) return;
      this.data = data;
      this.error = '';
      this.offline = false;
    } catch (error) {
      if (turn !== this.#turn || isAbort(error)) return;
      this.error = words(error);
      this.offline = error instanceof Unreachable;
    } finally {
      if (turn === this.#turn) this.loading = false;
    }
  };
}
