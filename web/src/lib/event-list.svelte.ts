// The events page's list: filtered, paged by cursor, growing at the top as events happen.
import { api, isAbort, words } from './api';
import type { Listener } from './news';
import { notices } from './notices.svelte';
import { addDays, toMs } from './time';
import type { EventKind, EventPage, PerchEvent } from './types';
import { range } from './urls';

export interface EventFilter {
  camera: string;
  kind: EventKind | '';
  /** Midnight of a day in the viewer's zone. */
  dayMs: number | null;
}

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
  filter = $state.raw<EventFilter>({ camera: '', kind: '', dayMs: null });
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
    };
  }

  setFilter(change: Partial<EventFilter>): void {
    this.filter = { ...this.filter, ...change };
    this.events = [];
    this.loaded = false;
    void this.reload();
  }

  reload = (): Promise<void> => this.#load(null);

  more = async (): Promise<void> => {
    if (!this.loading && this.#cursor !== null) await this.#load(this.#cursor);
  };

  replace(event: PerchEvent): void {
    this.events = this.events.map((other) => (other.id === event.id ? event : other));
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
      const known = new Set(cursor === null ? [] : this.events.map((event) => event.id));
      const fresh = page.events.filter((event) => !known.has(event.id));
      this.events = cursor === null ? fresh : [...this.events, ...fresh];
      this.#cursor = page.next_cursor;
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

  #heard(event: PerchEvent): void {
    if (this.#abort) this.#meanwhile.push(event);
    this.#put(event);
  }

  #put(event: PerchEvent): void {
    if (!this.loaded) return;
    if (this.events.some((other) => other.id === event.id)) this.replace(event);
    else if (this.#fits(event)) this.events = [event, ...this.events].sort((a, b) => b.id - a.id);
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
