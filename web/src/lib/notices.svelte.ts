// The page's one News, with what the markup shows of it.
import { api } from './api';
import { browserClock } from './clock';
import { type Listener, News, type Source } from './news';
import { watchPage } from './page-events';

class Notices {
  /** Since when the box has not been heard, or null. */
  lostSinceMs = $state<number | null>(null);
  /** When it is asked again; null while it is being asked, or is heard. */
  retryAtMs = $state<number | null>(null);
  #news = new News({
    clock: browserClock,
    random: Math.random,
    source: (address) => new EventSource(address) as Source,
    onLost: (sinceMs) => (this.lostSinceMs = sinceMs),
    onDue: (dueMs) => (this.retryAtMs = dueMs),
    // An EventSource does not say why. Asking does: a device that was removed is led to the login page at once.
    onRefused: () => void api.get('/api/v1/me').catch(() => {}),
  });
  #unwatch: (() => void) | null = null;

  start(): void {
    this.#news.start();
    // Somebody looks again, or the network is back: no reason to wait.
    this.#unwatch ??= watchPage((event) => {
      if (event !== 'hidden' && event !== 'left') this.retryNow();
    });
  }

  stop(): void {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#news.stop();
  }

  retryNow = (): void => this.#news.retryNow();

  /** Listens until the returned function is called. `again` runs after the stream was down. */
  listen(listener: Listener, again?: () => void): () => void {
    return this.#news.listen(listener, again);
  }
}

export const notices = new Notices();
