// What happens to the page as a whole: it is hidden, left, comes back, and the network returns or is another one.

export type PageEvent = 'hidden' | 'visible' | 'left' | 'restored' | 'online' | 'network';

/** Reports until the returned function is called. */
export function watchPage(report: (event: PageEvent) => void): () => void {
  const end = new AbortController();
  const { signal } = end;
  document.addEventListener('visibilitychange', () => report(document.hidden ? 'hidden' : 'visible'), {
    signal,
  });
  addEventListener('pagehide', () => report('left'), { signal });
  // A page out of the browser's cache is as it was left, without its connections.
  addEventListener('pageshow', (event) => event.persisted && report('restored'), { signal });
  addEventListener('online', () => report('online'), { signal });
  // From Wi-Fi to mobile data, where the browser tells.
  const { connection } = navigator as { connection?: EventTarget };
  connection?.addEventListener('change', () => navigator.onLine && report('network'), { signal });
  return () => end.abort();
}
