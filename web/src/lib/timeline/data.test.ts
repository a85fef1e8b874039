// The timeline's data: which windows are asked for, what overtakes what, and how news come in.
import { describe, expect, it } from 'vitest';
import { Unreachable } from '../api';
import { ManualClock, settle } from '../testing/manual-clock';
import type { Listener } from '../news';
import { DAY, HOUR, MINUTE, SECOND } from '../time';
import type { PerchEvent, Timeline } from '../types';
import { TimelineData } from './data.svelte';
import { liveView } from './view';
import { type Range, tailRange, wideRange, withEvent } from './windows';

const iso = (ms: number) => new Date(ms).toISOString();
const event = (startMs: number, more: Partial<PerchEvent> = {}) =>
  ({ id: startMs * 1000, camera: 'door', start: iso(startMs), end: null, ...more }) as PerchEvent;

function answerTo({ fromMs, toMs }: Range, more: Partial<Timeline> = {}): Timeline {
  const spans = [{ start: iso(fromMs), end: iso(toMs), held: 'here' as const }];
  return { from: iso(fromMs), to: iso(toMs), spans, gaps: [], events: [], ...more };
}

function setUp() {
  const clock = new ManualClock();
  const asked: (Range & {
    signal: AbortSignal;
    answer: (t?: Timeline) => void;
    fail: (e: unknown) => void;
  })[] = [];
  let listener: Listener = () => {};
  const page = { isHidden: false };
  const data = new TimelineData('door', {
    clock,
    ask: (_camera, range, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
        asked.push({ ...range, signal, answer: (t = answerTo(range)) => resolve(t), fail: reject });
      }),
    listen(heard) {
      listener = heard;
      return () => (listener = () => {});
    },
    isHidden: () => page.isHidden,
  });
  const says = (notice: PerchEvent) => listener({ type: 'event', event: notice });
  const nowMs = clock.wallMs();
  const last = () => asked.at(-1)!;
  const shown = async (view = liveView(HOUR, nowMs)) => {
    data.show(view);
    await clock.advance(0);
    last().answer();
    await settle();
  };
  return { clock, asked, data, says, page, nowMs, last, shown };
}

describe('windows', () => {
  const nowMs = Date.UTC(2026, 4, 1, 12);
  const view = { startMs: nowMs - 4 * HOUR, spanMs: HOUR };
  const cases: [string, Range, boolean][] = [
    ['nothing of it', { fromMs: nowMs - DAY, toMs: nowMs - 5 * HOUR }, false],
    ['its first half', { fromMs: nowMs - 5 * HOUR, toMs: nowMs - 3.5 * HOUR }, false],
    ['its second half', { fromMs: nowMs - 3.5 * HOUR, toMs: nowMs }, false],
    ['exactly it', { fromMs: view.startMs, toMs: nowMs - 3 * HOUR }, true],
  ];
  it.each(cases)('where %s is there', (_name, loaded, isEnough) => {
    const wide = wideRange(view, answerTo(loaded), nowMs);
    expect(wide).toEqual(isEnough ? null : { fromMs: nowMs - 5 * HOUR, toMs: nowMs - 2 * HOUR });
  });

  it('end at now, and a live one is enough while its tail is looked after', () => {
    const live = liveView(HOUR, nowMs);
    expect(wideRange(live, null, nowMs)!.toMs).toBe(nowMs + SECOND);
    const loaded = answerTo({ fromMs: nowMs - 3 * HOUR, toMs: nowMs });
    expect(wideRange(live, loaded, nowMs + 15 * SECOND)).toBeNull();
    expect(wideRange(live, loaded, nowMs + 25 * SECOND)).not.toBeNull();
  });

  it('have a tail only at the live end', () => {
    const loaded = answerTo({ fromMs: nowMs - 3 * HOUR, toMs: nowMs });
    expect(tailRange(view, loaded, nowMs)).toBeNull();
    expect(tailRange(liveView(HOUR, nowMs), null, nowMs)).toBeNull();
    expect(tailRange(null, loaded, nowMs)).toBeNull();
    const tail = tailRange(liveView(HOUR, nowMs), loaded, nowMs + 10 * SECOND);
    expect(tail).toEqual({ fromMs: nowMs - 2 * MINUTE, toMs: nowMs + 10 * SECOND });
  });

  it('take an event once, in its place, and none from before them', () => {
    const start = answerTo({ fromMs: nowMs - HOUR, toMs: nowMs });
    const two = [event(nowMs - MINUTE), event(nowMs - 2 * MINUTE)].reduce(withEvent, start);
    const three = withEvent(two, event(nowMs - MINUTE, { end: iso(nowMs) }));
    expect(three.events.map((e) => [e.start, e.end])).toEqual([
      [iso(nowMs - 2 * MINUTE), null],
      [iso(nowMs - MINUTE), iso(nowMs)],
    ]);
    expect(withEvent(three, event(nowMs - DAY))).toBe(three);
  });
});

describe('loading', () => {
  it('asks at once the first time, then waits until the window rests', async () => {
    const { data, clock, asked, nowMs, shown } = setUp();
    await shown();
    expect(data.loaded).toBe(true);
    for (let i = 1; i <= 5; i += 1) {
      data.show({ startMs: nowMs - DAY - i * HOUR, spanMs: HOUR });
      await clock.advance(50);
    }
    expect(asked).toHaveLength(1);
    await clock.advance(100);
    expect(asked).toHaveLength(2);
    expect(asked[1]!.fromMs).toBe(nowMs - DAY - 6 * HOUR);
  });

  it('asks for nothing when the window comes back to what is there', async () => {
    const { data, clock, asked, nowMs, shown } = setUp();
    await shown();
    data.show({ startMs: nowMs - DAY, spanMs: HOUR });
    data.show(liveView(HOUR, nowMs));
    await clock.advance(1000);
    expect(asked).toHaveLength(1);
    expect(await data.settled(1000)).toBeUndefined();
  });

  it('never lets an older answer overwrite a newer one', async () => {
    const { data, clock, asked, nowMs, shown } = setUp();
    await shown();
    data.show({ startMs: nowMs - 3 * DAY, spanMs: HOUR });
    await clock.advance(200);
    data.show({ startMs: nowMs - 5 * DAY, spanMs: HOUR });
    await clock.advance(200);
    const [, older, newer] = asked;
    expect(older!.signal.aborted).toBe(true);
    newer!.answer();
    older!.answer();
    await settle();
    expect(data.knows(nowMs - 5 * DAY)).toBe(true);
    expect(data.knows(nowMs - 3 * DAY)).toBe(false);
  });

  it('says why it failed, and tries again when asked', async () => {
    const { data, clock, last, nowMs } = setUp();
    data.show(liveView(HOUR, nowMs));
    await clock.advance(0);
    last().fail(new Unreachable());
    await settle();
    expect(data.error).toBe(new Unreachable().message);
    data.retry();
    expect(data.error).toBe('');
    await clock.advance(0);
    last().answer();
    await settle();
    expect([data.loaded, data.error]).toEqual([true, '']);
  });

  it('tells when it has settled, but not later than asked', async () => {
    const { data, clock, last, nowMs } = setUp();
    const done: string[] = [];
    data.show(liveView(HOUR, nowMs));
    void data.settled(5000).then(() => done.push('patient'));
    void data.settled(1000).then(() => done.push('hasty'));
    await clock.advance(1000);
    expect(done).toEqual(['hasty']);
    last().answer();
    await settle();
    expect(done).toEqual(['hasty', 'patient']);
    expect(clock.waiting).toBe(0);
  });
});

describe('the live end', () => {
  it('is refreshed every ten seconds while somebody looks', async () => {
    const { data, clock, asked, page, nowMs, last, shown } = setUp();
    const stop = data.watch();
    await shown();
    await clock.advance(10_000);
    expect(asked).toHaveLength(2);
    // One that is on its way is not asked for again.
    await clock.advance(10_000);
    expect(asked).toHaveLength(2);
    last().answer();
    await settle();
    expect(data.knows(nowMs + 10_000)).toBe(true);
    expect(data.knows(nowMs - HOUR)).toBe(true);
    page.isHidden = true;
    await clock.advance(30_000);
    expect(asked).toHaveLength(2);
    stop();
    page.isHidden = false;
    await clock.advance(30_000);
    expect([asked.length, clock.waiting]).toEqual([2, 0]);
  });

  it('that fails says nothing: what is there stays, the next one comes', async () => {
    const { data, clock, last, shown } = setUp();
    data.watch();
    await shown();
    await clock.advance(10_000);
    last().fail(new Unreachable());
    await settle();
    expect([data.error, data.loaded]).toEqual(['', true]);
  });

  it('takes events as they come, of this camera only', async () => {
    const { data, says, nowMs, shown } = setUp();
    data.watch();
    await shown();
    says(event(nowMs - MINUTE));
    says(event(nowMs - 2 * MINUTE, { camera: 'yard' }));
    says(event(nowMs - MINUTE, { end: iso(nowMs) }));
    expect(data.events.map((e) => e.end)).toEqual([iso(nowMs)]);
    expect(data.neighbour(nowMs, -1)?.id).toBe(data.events[0]!.id);
    expect(data.neighbour(nowMs, 1)).toBeUndefined();
  });

  it('keeps an event that came while an older answer was on its way', async () => {
    const { data, says, clock, asked, nowMs, shown } = setUp();
    data.watch();
    await shown();
    data.show({ startMs: nowMs - 6 * HOUR, spanMs: 6 * HOUR });
    await clock.advance(200);
    says(event(nowMs - SECOND));
    asked[1]!.answer();
    await settle();
    expect(data.events).toHaveLength(1);
  });
});
