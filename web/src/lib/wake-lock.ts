// Keeps the screen on, where the browser can, until the returned function is called. A page that was hidden has to ask again.

export const canKeepAwake = (): boolean => 'wakeLock' in navigator;

export function keepAwake(): () => void {
  if (!canKeepAwake()) return () => {};
  const end = new AbortController();
  let lock: WakeLockSentinel | null = null;
  const ask = async () => {
    if (document.hidden || end.signal.aborted || (lock && !lock.released)) return;
    // Refused where the battery is low: then the screen goes off as ever.
    lock = await navigator.wakeLock.request('screen').catch(() => null);
    if (end.signal.aborted) void lock?.release();
  };
  document.addEventListener('visibilitychange', () => void ask(), { signal: end.signal });
  void ask();
  return () => {
    end.abort();
    void lock?.release();
  };
}
