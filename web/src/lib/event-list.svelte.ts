// The events page's list: filtered, paged by cursor. What happens meanwhile waits until somebody wants it: nothing moves under a finger.
import { api, isAbort, words } from './api';
import { type EventFilter, NO_FILTER } from './event-address';
import type { Listener } from './news';
import { notices } from './notices.svelte';
import { addDays, toMs } from './time';
import type { EventKind, EventPage, PerchEvent } from './types';
import { range } from './urls';

const PAGE = 48;
/** Events of one camera that start closer together than this are one burst. */
const BURST_MS = 5 * 60_000;

export interface Burst {
  key: number;
  camera: string;
  events: PerchEvent[];
}

/** Groups a newest-first list: same camera, less than five minutes between neighbours. */
export function bursts(events: readonly PerchEvent[]): Burst[] {
  const out: Burst[] = [];
  for (const event of events) {
    const open = out.findLast((burst) => burst.camera === event.camera);
    const last = open?.events.at(-1);
    if (open && last && toMs(last.start) - toMs(event.start) < BURST_MS) open.events.push(event);
    else out.push({ key: event.id, camera: event.camera, events: [event] });
  }
  return out;
}

/** What is asked of the box for one page. */
export interface Asked {
  camera?: string | undefined;
  kind?: EventKind | undefined;
  from?: string;
  to?: string;
  cursor?: number | undefined;
  limit: number;
}

export interface EventListPorts {
  ask: (query: Asked, signal: AbortSignal) => Promise<EventPage>;
  listen: (listener: Listener, again: () => void) => () => void;
}

const browserPorts: EventListPorts = {
  ask: (query, signal) => api.get('/api/v1/events', { query, signal }),
  listen: (listener, again) => notices.listen(listener, again),
};

export class EventList {
  events = $state.raw<PerchEvent[]>([]);
  loading = $state(false);
  error = $state('');
  /** Whether the first page was ever answered. */
  loaded = $state(false);
  filter = $state.raw<EventFilter>(NO_FILTER);
  /** Events that began since the list was looked at, newest first. */
  waiting = $state.raw<PerchEvent[]>([]);
  #cursor = $state.raw<number | null>(null);
  #abort: AbortController | null = null;
  /** Events that came while an answer was on its way: the answer may not hold them yet. */
  #meanwhile: PerchEvent[] = [];

  constructor(private readonly ports: EventListPorts = browserPorts) {}

  get hasMore(): boolean {
    return this.#cursor !== null;
  }

  /** Takes events as they happen; the returned function ends it. */
  watch(): () => void {
    void this.reload();
    const stop = this.ports.listen(
      (notice) => notice.type === 'event' && this.#heard(notice.event),
      () => void this.reload(),
    );
    return () => {
      stop();
      this.#abort?.abort();
      // Whoever comes back sees all that there is.
      this.showWaiting();
    };
  }

  setFilter(filter: EventFilter): void {
    const { camera, kind, dayMs } = this.filter;
    const isAsked = camera === filter.camera && kind === filter.kind && dayMs === filter.dayMs;
    this.filter = filter;
    // What was seen the box does not know.
    if (isAsked) return;
    this.events = [];
    this.waiting = [];
    this.loaded = false;
    void this.reload();
  }

  reload = (): Promise<void> => this.#load(null);

  /** Whoever signs in next sees nothing of it. */
  forget(): void {
    this.#abort?.abort();
    this.#abort = null;
    this.events = this.waiting = [];
    this.loaded = false;
    this.filter = NO_FILTER;
  }

  /** Takes what waits into the list. */
  showWaiting(): void {
    this.events = [...this.waiting, ...this.events];
    this.waiting = [];
  }

  more = async (): Promise<void> => {
    if (!this.loading && this.#cursor !== null) await this.#load(this.#cursor);
  };

  replace(event: PerchEvent): void {
    const put = (list: PerchEvent[]) => list.map((other) => (other.id === event.id ? event : other));
    if (this.waiting.some((other) => other.id === event.id)) this.waiting = put(this.waiting);
    else this.events = put(this.events);
  }

  async #load(cursor: number | null): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#meanwhile = [];
    this.loading = true;
    const { camera, kind, dayMs } = this.filter;
    const query: Asked = {
      camera: camera || undefined,
      kind: kind || undefined,
      ...(dayMs === null ? {} : range(dayMs, addDays(dayMs, 1))),
      cursor: cursor ?? undefined,
      limit: PAGE,
    };
    try {
      const page = await this.ports.ask(query, abort.signal);
      // An answer that was overtaken is of no use, even if it came.
      if (this.#abort !== abort) return;
      if (cursor === null) this.#begin(page);
      else this.#append(page);
      this.error = '';
      this.loaded = true;
      for (const event of this.#meanwhile) this.#put(event);
    } catch (error) {
      if (this.#abort === abort && !isAbort(error)) this.error = words(error);
    } finally {
      if (this.#abort === abort) {
        this.#abort = null;
        this.loading = false;
      }
    }
  }

  /** The first page: all anew, or where it joins what is shown already, only what is new, and that waits. */
  #begin(page: EventPage): void {
    const top = this.events[0]?.id ?? null;
    const at = page.events.findIndex((event) => event.id === top);
    if (!this.loaded || at < 0) {
      this.events = page.events;
      this.waiting = [];
      this.#cursor = page.next_cursor;
      return;
    }
    const now = new Map(page.events.map((event) => [event.id, event]));
    const oldest = page.next_cursor === null ? 0 : (page.events.at(-1)?.id ?? 0);
    // What is gone on the box is gone here.
    const isThere = (event: PerchEvent) => event.id < oldest || now.has(event.id);
    this.events = this.events.filter(isThere).map((event) => now.get(event.id) ?? event);
    this.waiting = page.events.slice(0, at);
  }

  #append(page: EventPage): void {
    const known = new Set(this.events.map((event) => event.id));
    this.events = [...this.events, ...page.events.filter((event) => !known.has(event.id))];
    this.#cursor = page.next_cursor;
  }

  #heard(event: PerchEvent): void {
    if (this.#abort) this.#meanwhile.push(event);
    this.#put(event);
  }

  #put(event: PerchEvent): void {
    if (!this.loaded) return;
    const isKnown = [...this.waiting, ...this.events].some((other) => other.id === event.id);
    if (isKnown) this.replace(event);
    else if (!this.#fits(event)) return;
    // In an empty list nothing can move.
    else if (this.events.length === 0) this.events = [event];
    else this.waiting = [event, ...this.waiting].sort((a, b) => b.id - a.id);
  }

  #fits(event: PerchEvent): boolean {
    const { camera, kind, dayMs } = this.filter;
    const ms = toMs(event.start);
    return (
      (!camera || camera === event.camera) &&
      (!kind || kind === event.kind) &&
      (dayMs === null || (ms >= dayMs && ms < addDays(dayMs, 1)))
    );
  }
}

/** Kept while other pages show: whoever comes back finds it as it was. */
export const eventList = new EventList();
