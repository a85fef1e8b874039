// The box's event stream, one connection shared by everything that listens.
import type { Notice } from './types';

type Listener = (notice: Notice) => void;
const RETRY_MS = 5000;

class Notices {
  /** Since when the box has not been heard, or null; the browser or the timer below mends it. */
  lostSinceMs = $state<number | null>(null);
  #listeners = new Set<Listener>();
  #onReconnect = new Set<() => void>();
  #source: EventSource | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #wasConnected = false;

  start(): void {
    if (this.#source) return;
    const source = new EventSource('/api/v1/events/stream');
    this.#source = source;
    source.onopen = () => {
      this.lostSinceMs = null;
      // News was missed while the stream was down: whoever shows lists asks again.
      if (this.#wasConnected) for (const again of this.#onReconnect) again();
      this.#wasConnected = true;
    };
    source.onerror = () => {
      this.lostSinceMs ??= Date.now();
      if (source.readyState !== EventSource.CLOSED) return;
      this.#source = null;
      this.#retry = setTimeout(() => this.start(), RETRY_MS);
    };
    for (const type of ['event', 'health', 'recording']) {
      source.addEventListener(type, (message) => {
        const notice = JSON.parse((message as MessageEvent<string>).data) as Notice;
        for (const listener of this.#listeners) listener(notice);
      });
    }
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
    this.lostSinceMs = null;
    this.#wasConnected = false;
  }

  /** Listens until the returned function is called. `again` runs after the stream was down. */
  listen(listener: Listener, again?: () => void): () => void {
    this.#listeners.add(listener);
    if (again) this.#onReconnect.add(again);
    return () => {
      this.#listeners.delete(listener);
      if (again) this.#onReconnect.delete(again);
    };
  }
}

export const notices = new Notices();
