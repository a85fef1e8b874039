// A small history router: the path as state, links that do not reload, and focus moved to the new page.
import { tick } from 'svelte';
import { type Route, routeOf } from './routes';

class Router {
  route = $state.raw<Route>(routeOf(location));

  constructor() {
    addEventListener('popstate', () => (this.route = routeOf(location)));
  }

  /** Goes to `path`; `replace` leaves no step back. */
  async go(path: string, { replace = false } = {}): Promise<void> {
    if (path === location.pathname + location.search + location.hash) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', path);
    this.route = routeOf(location);
    await tick();
    const named = location.hash && document.getElementById(location.hash.slice(1));
    if (named) {
      named.scrollIntoView();
      named.focus();
      return;
    }
    // A screen reader starts reading at the new page's heading; a page that asks for one thing says where it is typed.
    const first = document.querySelector<HTMLElement>('main [data-first]');
    (first ?? document.querySelector<HTMLElement>('main h1'))?.focus();
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
