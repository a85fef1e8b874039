// A small history router: the path as state, links that do not reload, and focus moved to the new page.
import { tick } from 'svelte';
import { type Route, routeOf } from './routes';

const pathOf = ({ pathname, search, hash }: Location): string => pathname + search + hash;

class Router {
  route = $state.raw<Route>(routeOf(location));
  /** Where somebody wants to go who would lose a draft by it. */
  wanted = $state.raw<{ path: string; replace: boolean } | null>(null);
  #here = pathOf(location);
  #isHeld: (() => boolean) | null = null;

  constructor() {
    addEventListener('popstate', () => {
      const path = pathOf(location);
      if (this.#isLost(path)) {
        history.pushState(null, '', this.#here);
        this.wanted = { path, replace: false };
      } else void this.#back();
    });
  }

  /** While `isHeld` says so, nobody is led elsewhere before they say that they want it; the returned function ends that. */
  hold(isHeld: () => boolean): () => void {
    this.#isHeld = isHeld;
    return () => {
      if (this.#isHeld === isHeld) this.#isHeld = null;
    };
  }

  #isLost(path: string): boolean {
    const isElsewhere = new URL(path, location.href).pathname !== new URL(this.#here, location.href).pathname;
    return isElsewhere && this.#isHeld?.() === true;
  }

  #arrive(): void {
    this.#here = pathOf(location);
    this.route = routeOf(location);
  }

  /** A page that is gone back to stands where it was left, once it is there. */
  async #back(): Promise<void> {
    const { pathname } = new URL(this.#here, location.href);
    this.#arrive();
    const { y } = (history.state ?? {}) as { y?: number };
    // What opened over a page did not move it.
    if (y === undefined || pathname === location.pathname) return;
    await tick();
    scrollTo(0, y);
  }

  /** Goes to another address of the page that shows: what is open over it, what it is filtered by. Nothing moves. */
  turn(path: string, { replace = false } = {}): void {
    if (path === pathOf(location)) return;
    if (replace) history.replaceState(history.state, '', path);
    else history.pushState({ over: true }, '', path);
    this.#arrive();
  }

  /** Closes what `turn` opened: by a step back where it was one, so that the next step back leads out. */
  turnBack(path: string): void {
    if ((history.state as { over?: boolean } | null)?.over) history.back();
    else this.turn(path, { replace: true });
  }

  /** Goes to `path`; `replace` leaves no step back. */
  async go(path: string, { replace = false } = {}): Promise<void> {
    if (path === pathOf(location)) return;
    if (this.#isLost(path)) {
      this.wanted = { path, replace };
      return;
    }
    if (!replace) history.replaceState({ ...(history.state as object | null), y: scrollY }, '');
    history[replace ? 'replaceState' : 'pushState'](null, '', path);
    this.#arrive();
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
