// The page's one News, with what the markup shows of it.
import { api } from './api';
import { browserClock } from './clock';
import { type Listener, News, type Source } from './news';

class Notices {
  /** Since when the box has not been heard, or null. */
  lostSinceMs = $state<number | null>(null);
  #news = new News({
    clock: browserClock,
    random: Math.random,
    source: (address) => new EventSource(address) as Source,
    onLost: (sinceMs) => (this.lostSinceMs = sinceMs),
    // An EventSource does not say why. Asking does: a device that was removed is led to the login page at once.
    onRefused: () => void api.get('/api/v1/me').catch(() => {}),
  });

  start(): void {
    this.#news.start();
  }

  stop(): void {
    this.#news.stop();
  }

  /** Listens until the returned function is called. `again` runs after the stream was down. */
  listen(listener: Listener, again?: () => void): () => void {
    return this.#news.listen(listener, again);
  }
}

export const notices = new Notices();
