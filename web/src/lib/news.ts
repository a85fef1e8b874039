// The box's event stream: one connection shared by everything that listens, made again when it breaks.
import type { Clock } from './clock';
import { url } from './contract';
import { Retry } from './retry';
import type { Notice } from './types';

export type Listener = (notice: Notice) => void;

/** What is used of an EventSource. */
export interface Source {
  readonly readyState: number;
  onopen: (() => void) | null;
  onerror: (() => void) | null;
  addEventListener(type: string, listener: (message: MessageEvent<string>) => void): void;
  close(): void;
}

export interface NewsPorts {
  clock: Clock;
  random: () => number;
  source: (address: string) => Source;
  /** Since when the box has not been heard; null when it is heard again. */
  onLost: (sinceMs: number | null) => void;
  /** When it is asked again, milliseconds since the epoch; null while it is being asked or is heard. */
  onDue: (dueMs: number | null) => void;
  /** The box, or something before it, said no instead of sending news. */
  onRefused: () => void;
}

/** EventSource.CLOSED: the box said no. */
const CLOSED = 2;
const TYPES: Notice['type'][] = ['event', 'health', 'recording', 'modes', 'talk'];

export class News {
  #listeners = new Set<Listener>();
  #onReconnect = new Set<() => void>();
  #source: Source | null = null;
  #lostMs: number | null = null;
  #wasConnected = false;
  #retry: Retry;

  constructor(private readonly ports: NewsPorts) {
    const { clock, random, onDue } = ports;
    this.#retry = new Retry({ clock, random, onDue, attempt: () => this.start() });
  }

  /** Asks again at once, if the box is waited for. */
  retryNow = (): void => this.#retry.now();

  start(): void {
    if (this.#source) return;
    const source = this.ports.source(url('/api/v1/events/stream'));
    this.#source = source;
    source.onopen = () => {
      this.#retry.worked();
      this.#lost(null);
      // News was missed while the stream was down: whoever shows lists asks again.
      if (this.#wasConnected) for (const again of [...this.#onReconnect]) again();
      this.#wasConnected = true;
    };
    source.onerror = () => this.#failed(source);
    for (const type of TYPES) {
      source.addEventListener(type, (message) => {
        const notice = JSON.parse(message.data) as Notice;
        for (const listener of [...this.#listeners]) listener(notice);
      });
    }
  }

  stop(): void {
    this.#retry.stop();
    this.#source?.close();
    this.#source = null;
    this.#lost(null);
    this.#wasConnected = false;
  }

  /** Listens until the returned function is called. `again` runs after the stream was down. */
  listen(listener: Listener, again?: () => void): () => void {
    this.#listeners.add(listener);
    if (again) this.#onReconnect.add(again);
    return () => {
      this.#listeners.delete(listener);
      if (again) this.#onReconnect.delete(again);
    };
  }

  #failed(source: Source): void {
    if (source !== this.#source) return;
    this.#lost(this.#lostMs ?? this.ports.clock.wallMs());
    const isRefused = source.readyState === CLOSED;
    // The browser would try again at its own pace, and not say when.
    source.close();
    this.#source = null;
    this.#retry.failed();
    if (isRefused) this.ports.onRefused();
  }

  #lost(sinceMs: number | null): void {
    this.#lostMs = sinceMs;
    this.ports.onLost(sinceMs);
  }
}
