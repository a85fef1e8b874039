// Whether this browser trusts the box's certificate, or was only told to go on. A page cannot ask; it can try what needs trust.
//
// - A service worker is fetched without the exception that somebody made on the warning, in Chromium and all that are built of it. So there
//   its registration tells both ways. Firefox and Safari let it pass with an exception, too.
// - An exception holds for the one name that was typed (and in Firefox for one port). So a browser that gets an answer from the box under
//   another of its names trusts it. That none comes says less: that name may lead nowhere from here.
import { answersAt } from './api';

/** Not known: it may be trusted, and this browser does not let a page see it. */
export type Trust = 'trusted' | 'untrusted' | 'unknown';

const WORKER = '/trust-probe.js';

interface Means {
  /** Whether a worker can be registered; errors as the browser does. */
  register: () => Promise<void>;
  /** Whether the box answers at this address. */
  reach: (origin: string) => Promise<boolean>;
  /** Whether a worker's registration says something of the certificate. */
  workersTell: boolean;
}

export async function trustOf(others: string[], means: Means): Promise<Trust> {
  const worker = await means.register().then(
    () => 'trusted' as const,
    (error: unknown) =>
      error instanceof Error && error.name === 'SecurityError'
        ? ('untrusted' as const)
        : ('unknown' as const),
  );
  if (worker === 'untrusted' || (worker === 'trusted' && means.workersTell)) return worker;
  const reached = await Promise.all(others.map((origin) => means.reach(origin)));
  return reached.some(Boolean) ? 'trusted' : 'unknown';
}

/** `origins`: under which the box answers; this page's own is left out. */
export const probeTrust = (origins: string[]): Promise<Trust> =>
  trustOf(
    origins.filter((origin) => new URL(origin).hostname !== location.hostname),
    { register, reach: answersAt, workersTell: /Chrom(e|ium)\//.test(navigator.userAgent) },
  );

/** Another address each time, so that nothing that is kept answers. */
async function register(): Promise<void> {
  if (!('serviceWorker' in navigator)) throw new Error('no service workers');
  const script = `${WORKER}?${Math.random().toString(36).slice(2)}`;
  const registration = await navigator.serviceWorker.register(script, { scope: '/trust-probe/' });
  await registration.unregister();
}
