// Who is signed in. Decides between the pair page, the login page and the rest.
import { ApiError, api } from './api';
import { WAS_CLAIMED } from './box-page';
import { browserClock } from './clock';
import { watchPage } from './page-events';
import { codeIn } from './qr-scan';
import { Retry } from './retry';
import { router } from './router.svelte';
import type { Me, Permission } from './types';

type Phase = 'checking' | 'in' | 'out' | 'unreachable';

class Session {
  phase = $state<Phase>('checking');
  me = $state.raw<Me | null>(null);
  /** Whether anybody ever paired with this box. */
  claimed = $state(WAS_CLAIMED);

  /** The box knew this device a moment ago and does not any more. */
  wasEnded = $state(false);

  /** When a box that could not be reached is asked again; null while it is being asked. */
  retryAtMs = $state<number | null>(null);
  #retry = new Retry({
    clock: browserClock,
    random: Math.random,
    attempt: () => void this.refresh(),
    onDue: (dueMs) => (this.retryAtMs = dueMs),
  });

  constructor() {
    watchPage((event) => {
      if (event !== 'hidden' && event !== 'left') this.retryNow();
    });
    api.onSignedOut = () => {
      this.wasEnded = this.phase === 'in';
      this.signedOut();
    };
  }

  /** Whether the box lets this device do that; which cameras it sees is another matter. */
  may(permission: Permission): boolean {
    return this.me?.permissions.includes(permission) ?? false;
  }

  /** Asks the box who we are. A page that needs no session is left where it is. */
  async check(): Promise<void> {
    // A pairing address leads to the pair page whatever its path.
    if (codeIn(location.hash)) await router.go(`/pair${location.hash}`, { replace: true });
    if (!this.claimed || router.route.page === 'pair' || router.route.page === 'login') {
      this.signedOut();
      return;
    }
    await this.refresh();
  }

  async refresh(): Promise<void> {
    try {
      this.me = await api.get('/api/v1/me', { keepSession: true });
      this.claimed = true;
      this.wasEnded = false;
      this.phase = 'in';
      this.#retry.worked();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.#retry.worked();
        this.signedOut();
        return;
      }
      this.phase = 'unreachable';
      this.#retry.failed();
    }
  }

  retryNow = (): void => this.#retry.now();

  signedOut(): void {
    this.me = null;
    this.phase = 'out';
    const here = router.route.page;
    if (here !== 'pair' && here !== 'login')
      void router.go(this.claimed ? '/login' : '/pair', { replace: true });
  }

  async signOut(): Promise<void> {
    await api.delete('/api/v1/session');
    this.signedOut();
  }
}

export const session = new Session();
