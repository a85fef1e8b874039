// What happens to the page as a whole: it is hidden, left, comes back, and the network returns or is another one.

export type PageEvent = 'hidden' | 'visible' | 'left' | 'restored' | 'online' | 'network';

/** Reports until the returned function is called. */
export function watchPage(report: (event: PageEvent) => void): () => void {
  const end = new AbortController();
  const { signal } = end;
  // A page that goes away is hidden or shown once more on its way; whoever began anew then would leave a session behind.
  let isLeft = false;
  const onVisibility = () => {
    if (!isLeft) report(document.hidden ? 'hidden' : 'visible');
  };
  document.addEventListener('visibilitychange', onVisibility, { signal });
  const onHide = () => {
    isLeft = true;
    report('left');
  };
  addEventListener('pagehide', onHide, { signal });
  // A page out of the browser's cache is as it was left, without its connections.
  const onShow = (event: PageTransitionEvent) => {
    isLeft = false;
    if (event.persisted) report('restored');
  };
  addEventListener('pageshow', onShow, { signal });
  addEventListener('online', () => report('online'), { signal });
  // From Wi-Fi to mobile data, where the browser tells.
  const { connection } = navigator as { connection?: EventTarget };
  connection?.addEventListener('change', () => navigator.onLine && report('network'), { signal });
  return () => end.abort();
}
