// A small history router: the path as state, links that do not reload, and focus moved to the new page.
import { tick } from 'svelte';

export type Route =
  | { page: 'live' | 'events' | 'system' | 'settings' | 'add' | 'pair' | 'login' }
  | { page: 'cameraSettings'; camera: string }
  | { page: 'camera'; camera: string; atMs: number | null };

function parse(location: Location): Route {
  const [first = '', second, third] = location.pathname.split('/').filter(Boolean);
  if (first === 'camera' && second) {
    if (third === 'settings') return { page: 'cameraSettings', camera: decodeURIComponent(second) };
    const at = Date.parse(new URLSearchParams(location.search).get('at') ?? '');
    return { page: 'camera', camera: decodeURIComponent(second), atMs: Number.isNaN(at) ? null : at };
  }
  if (first === 'add-camera') return { page: 'add' };
  if (first === 'settings') return { page: 'settings' };
  if (first === 'events' || first === 'system' || first === 'pair' || first === 'login')
    return { page: first };
  return { page: 'live' };
}

class Router {
  route = $state.raw<Route>(parse(location));

  constructor() {
    addEventListener('popstate', () => (this.route = parse(location)));
  }

  /** Goes to `path`; `replace` leaves no step back. */
  async go(path: string, { replace = false } = {}): Promise<void> {
    if (path === location.pathname + location.search + location.hash) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', path);
    this.route = parse(location);
    await tick();
    // A screen reader starts reading at the new page's heading.
    document.querySelector<HTMLElement>('main h1')?.focus();
    scrollTo(0, 0);
  }
}

export const router = new Router();

/** For links: plain clicks stay in the page, everything else is the browser's. */
export function follow(event: MouseEvent): void {
  const link = event.currentTarget as HTMLAnchorElement;
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  void router.go(link.pathname + link.search + link.hash);
}
