// The events page's list: pages, filters, news and their races; and bursts, which events stand together.
import { describe, expect, it } from 'vitest';
import { Unreachable } from './api';
import { type EventFilter, NO_FILTER } from './event-address';
import { type Asked, EventList, bursts } from './event-list.svelte';
import type { Listener } from './news';
import { settle } from './testing/manual-clock';
import type { EventPage, PerchEvent } from './types';

const MIN = 60_000;
const event = (camera: string, ms: number): PerchEvent => ({
  id: ms * 1000,
  camera,
  kind: 'motion',
  start: new Date(ms).toISOString(),
  end: new Date(ms + 8000).toISOString(),
  since: new Date(ms).toISOString(),
  chapter: 1,
  score: 0.1,
  cause: 'motion',
  boxes: [],
  pinned: false,
  has_thumbnail: true,
});

describe('bursts', () => {
  it('joins events of one camera less than five minutes apart, others between notwithstanding', () => {
    const list = [event('a', 20 * MIN), event('b', 19 * MIN), event('a', 17 * MIN), event('a', 11 * MIN)];
    expect(bursts(list).map((burst) => [burst.camera, burst.events.length])).toEqual([
      ['a', 2],
      ['b', 1],
      ['a', 1],
    ]);
  });

  it('is empty for nothing', () => {
    expect(bursts([])).toEqual([]);
  });
});

describe('the list', () => {
  function setUp() {
    const asked: { query: Asked; answer: (page: EventPage) => void; fail: (error: unknown) => void }[] = [];
    let listener: Listener = () => {};
    let again = () => {};
    const list = new EventList({
      ask: (query) => new Promise((resolve, reject) => asked.push({ query, answer: resolve, fail: reject })),
      listen: (heard, reconnected) => {
        [listener, again] = [heard, reconnected];
        return () => {};
      },
    });
    const stop = list.watch();
    const answers = async (
      events: PerchEvent[],
      next_cursor: number | null = null,
      index = asked.length - 1,
    ) => {
      asked[index]!.answer({ events, next_cursor });
      await settle();
    };
    const says = (news: PerchEvent) => listener({ type: 'event', event: news });
    const shown = () => list.events.map((one) => one.start.slice(11, 16));
    return { list, asked, answers, says, shown, stop, reconnects: () => again() };
  }
  const only = (filter: Partial<EventFilter>): EventFilter => ({ ...NO_FILTER, ...filter });
  const at = (minute: number, more: Partial<PerchEvent> = {}) => ({ ...event('a', minute * MIN), ...more });

  it('pages by cursor without showing an event twice', async () => {
    const { list, asked, answers, shown } = setUp();
    await answers([at(30), at(20)], 20);
    expect(list.hasMore).toBe(true);
    void list.more();
    void list.more();
    expect(asked.map(({ query }) => query.cursor)).toEqual([undefined, 20]);
    await answers([at(20), at(10)]);
    expect([shown(), list.hasMore, list.loading]).toEqual([['00:30', '00:20', '00:10'], false, false]);
  });

  it('lets what is new wait, grown ones too, and only what fits the filter', async () => {
    const { list, answers, says, shown } = setUp();
    list.setFilter(only({ camera: 'a' }));
    await answers([at(30), at(20)]);
    says(at(40, { end: null }));
    says(at(40));
    says(at(50, { camera: 'b' }));
    expect(shown()).toEqual(['00:30', '00:20']);
    expect(list.waiting.map((one) => one.end !== null)).toEqual([true]);
    says(at(45, { end: null }));
    list.showWaiting();
    expect([shown(), list.waiting]).toEqual([['00:45', '00:40', '00:30', '00:20'], []]);
    says(at(45));
    expect(list.events[0]!.end).not.toBeNull();
  });

  it('shows the first event of an empty list at once', async () => {
    const { list, answers, says, shown } = setUp();
    await answers([]);
    says(at(40));
    expect([shown(), list.waiting]).toEqual([['00:40'], []]);
  });

  it('asks nothing anew where only what was seen is filtered', async () => {
    const { list, asked, answers, shown } = setUp();
    await answers([at(30)]);
    list.setFilter(only({ unseen: true }));
    expect([asked.length, shown()]).toEqual([1, ['00:30']]);
  });

  it('moves nothing when the connection is back: new ones wait, gone ones go, older pages stay', async () => {
    const { list, answers, shown, reconnects } = setUp();
    await answers([at(30), at(20)], 20);
    void list.more();
    await answers([at(10)]);
    reconnects();
    await answers([at(40), at(30, { pinned: true }), at(15)], 15);
    expect(shown()).toEqual(['00:30', '00:10']);
    expect(list.events[0]!.pinned).toBe(true);
    expect(list.waiting).toHaveLength(1);
    // So much is new that it does not join any more: all anew.
    reconnects();
    await answers([at(59), at(58)], 58);
    expect([shown(), list.waiting, list.hasMore]).toEqual([['00:59', '00:58'], [], true]);
  });

  it('keeps what came while an older answer was on its way', async () => {
    const { list, answers, says, shown, reconnects } = setUp();
    await answers([at(30)]);
    reconnects();
    says(at(40));
    await answers([at(30)]);
    list.showWaiting();
    expect(shown()).toEqual(['00:40', '00:30']);
    expect(list.loaded).toBe(true);
  });

  it('never shows the answer to a filter that was changed', async () => {
    const { list, asked, answers, shown } = setUp();
    list.setFilter(only({ dayMs: Date.UTC(2026, 0, 1) }));
    expect(asked[1]!.query.from).toBe('2026-01-01T00:00:00.000Z');
    await answers([at(20)], null, 1);
    await answers([at(30)], null, 0);
    expect(shown()).toEqual(['00:20']);
  });

  it('says why it could not be loaded and keeps what is there', async () => {
    const { list, asked, answers, shown, reconnects } = setUp();
    await answers([at(30)]);
    reconnects();
    asked.at(-1)!.fail(new Unreachable());
    await settle();
    expect([list.error, shown(), list.loading]).toEqual([new Unreachable().message, ['00:30'], false]);
  });
});
