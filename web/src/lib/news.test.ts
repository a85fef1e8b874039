// The box's event stream: delivery, a lost box, reconnecting.
import { describe, expect, it } from 'vitest';
import { ManualClock } from './testing/manual-clock';
import { News, type Source } from './news';
import type { Notice } from './types';

class FakeSource implements Source {
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  #listeners = new Map<string, (message: MessageEvent<string>) => void>();

  constructor(readonly address: string) {}
  addEventListener(type: string, listener: (message: MessageEvent<string>) => void): void {
    this.#listeners.set(type, listener);
  }
  close(): void {
    this.readyState = 2;
  }
  opens(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  /** The connection broke; the browser tries again unless it was refused. */
  breaks({ isRefused = false } = {}): void {
    this.readyState = isRefused ? 2 : 0;
    this.onerror?.();
  }
  says(notice: { type: string; camera: string }): void {
    this.#listeners.get(notice.type)?.({ data: JSON.stringify(notice) } as MessageEvent<string>);
  }
}

function setUp() {
  const clock = new ManualClock();
  const sources: FakeSource[] = [];
  const state = { lostMs: null as number | null, dueMs: null as number | null, refused: 0 };
  const news = new News({
    clock,
    random: () => 0.5,
    source(address) {
      const source = new FakeSource(address);
      sources.push(source);
      return source;
    },
    onLost: (sinceMs) => (state.lostMs = sinceMs),
    onDue: (dueMs) => (state.dueMs = dueMs),
    onRefused: () => (state.refused += 1),
  });
  return { clock, sources, state, news, last: () => sources.at(-1)! };
}

describe('news', () => {
  it('reach whoever listens, until they stop', () => {
    const { news, last } = setUp();
    const heard: Notice[] = [];
    news.start();
    news.start();
    expect(last().address).toBe('/api/v1/events/stream');
    const stop = news.listen((notice) => heard.push(notice));
    last().says({ type: 'health', camera: 'door' });
    stop();
    last().says({ type: 'recording', camera: 'door' });
    expect(heard).toEqual([{ type: 'health', camera: 'door' }]);
  });

  it('say since when the box is lost, and make listeners ask again when it is back', async () => {
    const { news, last, state, clock } = setUp();
    let asked = 0;
    news.listen(
      () => {},
      () => (asked += 1),
    );
    news.start();
    last().opens();
    expect(asked).toBe(0);
    const sinceMs = clock.wallMs();
    last().breaks();
    expect(state.dueMs).toBe(sinceMs + 500);
    await clock.advance(500);
    last().breaks();
    expect([state.lostMs, state.dueMs]).toEqual([sinceMs, clock.wallMs() + 1000]);
    const before = last();
    news.retryNow();
    expect([last() === before, state.dueMs]).toEqual([false, null]);
    last().opens();
    expect([state.lostMs, asked, state.refused]).toEqual([null, 1, 0]);
  });

  it('are asked for again by ourselves, ever more slowly', async () => {
    const { news, last, sources, clock, state } = setUp();
    news.start();
    for (const waitMs of [500, 1000, 2000, 4000, 5000, 5000]) {
      const before = sources.length;
      last().breaks({ isRefused: true });
      await clock.advance(waitMs - 1);
      expect(sources).toHaveLength(before);
      await clock.advance(1);
      expect(sources).toHaveLength(before + 1);
    }
    expect(state.refused).toBe(6);
    last().opens();
    last().breaks({ isRefused: true });
    const before = sources.length;
    await clock.advance(500);
    expect(sources).toHaveLength(before + 1);
  });

  it('end with a stop: no retry, nothing lost', async () => {
    const { news, last, sources, clock, state } = setUp();
    news.start();
    last().breaks({ isRefused: true });
    news.stop();
    await clock.advance(60_000);
    expect([sources.length, state.lostMs, clock.waiting]).toEqual([1, null, 0]);
    news.start();
    const old = sources[0]!;
    old.breaks();
    expect(state.lostMs).toBeNull();
  });
});
