// Timeline maths: zoom, pan, ticks, layout, merging.
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND, startOfDay } from '../time';
import type { PerchEvent, Timeline } from '../types';
import { eventNear, layoutStretches, mergeTimelines, nextIn, stretchAt } from './layout';
import { labelStep, minorStep, ticks } from './ticks';
import {
  EDGE,
  MAX_SPAN_MS,
  MIN_SPAN_MS,
  clamp,
  endMs,
  follow,
  liveView,
  pan,
  reveal,
  timeAt,
  xAt,
  zoomAround,
} from './view';

const NOW = Date.UTC(2025, 2, 9, 12);

describe('view', () => {
  const view = { startMs: NOW - 4 * HOUR, spanMs: HOUR };

  it('maps pixels to times and back', () => {
    expect(timeAt(view, 600, 300)).toBe(NOW - 4 * HOUR + HOUR / 2);
    expect(xAt(view, 600, timeAt(view, 600, 123))).toBeCloseTo(123);
  });

  it('keeps the anchor in place while zooming', () => {
    const anchor = timeAt(view, 600, 450);
    for (const factor of [2, 0.5, 1.1]) {
      expect(xAt(zoomAround(view, factor, anchor, NOW), 600, anchor)).toBeCloseTo(450);
    }
  });

  it('zooms from a day to seconds and no further', () => {
    expect(zoomAround(view, 1e9, NOW - 3.5 * HOUR, NOW).spanMs).toBe(MIN_SPAN_MS);
    expect(zoomAround(view, 1e-9, NOW - 3.5 * HOUR, NOW).spanMs).toBe(MAX_SPAN_MS);
  });

  it('never ends a window far beyond now, nor begins it before the first year', () => {
    const late = clamp({ startMs: NOW, spanMs: HOUR }, NOW);
    expect(endMs(late)).toBe(NOW + EDGE * HOUR);
    expect(late).toEqual(liveView(HOUR, NOW));
    expect(clamp({ startMs: 0, spanMs: HOUR }, NOW).startMs).toBe(NOW - 366 * DAY);
  });

  it('pans with the finger', () => {
    expect(pan(view, 600, 60).startMs).toBe(view.startMs - HOUR / 10);
  });

  it('follows the playhead only at the end of the window', () => {
    const before = view.startMs + 0.4 * HOUR;
    expect(follow(view, before, view.startMs + HOUR / 2, NOW)).toBe(view);
    const moved = follow(view, before, view.startMs + 0.95 * HOUR, NOW);
    expect(moved.startMs).toBeCloseTo(view.startMs + 0.05 * HOUR);
    // Played fast, it is past the end at the next look.
    const far = follow(view, before, view.startMs + 1.5 * HOUR, NOW);
    expect(far.startMs).toBeCloseTo(view.startMs + 0.6 * HOUR);
    expect(follow(view, NOW - 9 * HOUR, NOW - HOUR, NOW)).toBe(view);
  });

  it('reveals what is outside', () => {
    expect(reveal(view, view.startMs + 1, NOW)).toBe(view);
    expect(reveal(view, NOW - 10 * HOUR, NOW).startMs).toBe(NOW - 10.5 * HOUR);
  });
});

describe('ticks', () => {
  it('chooses round steps that leave room for labels', () => {
    expect(labelStep(DAY, 360, 84)).toBe(6 * HOUR);
    expect(labelStep(DAY, 1400, 84)).toBe(2 * HOUR);
    expect(labelStep(HOUR, 600, 84)).toBe(10 * MINUTE);
    expect(labelStep(10 * SECOND, 600, 84)).toBe(2 * SECOND);
  });

  it('divides steps evenly', () => {
    expect(minorStep(HOUR)).toBe(10 * MINUTE);
    expect(minorStep(6 * HOUR)).toBe(HOUR);
    expect(minorStep(SECOND)).toBe(SECOND);
  });

  it('stands on local hours over several midnights', () => {
    const view = { startMs: startOfDay(NOW) - 20 * HOUR, spanMs: DAY };
    const labels = ticks(view, 400).filter((tick) => tick.label);
    expect(labels.length).toBeGreaterThan(2);
    for (const tick of labels) expect((tick.ms - startOfDay(tick.ms)) % (6 * HOUR)).toBe(0);
    for (const tick of labels) expect(tick.x).toBeGreaterThanOrEqual(0);
  });
});

describe('layout', () => {
  const view = { startMs: 0, spanMs: 1000 };
  const spans = [
    { startMs: -50, endMs: 100 },
    { startMs: 100.5, endMs: 200 },
    { startMs: 500, endMs: 1200 },
    { startMs: 2000, endMs: 3000 },
  ];

  it('cuts at the edges and joins what is less than a pixel apart', () => {
    expect(layoutStretches(spans, view, 1000)).toEqual([
      { x: 0, w: 200 },
      { x: 500, w: 500 },
    ]);
  });

  it('finds stretches', () => {
    expect(stretchAt(spans, 600)).toBe(spans[2]);
    expect(stretchAt(spans, 300)).toBeUndefined();
    expect(nextIn(spans, 300)).toBe(500);
    expect(nextIn(spans, 600)).toBe(600);
    expect(nextIn(spans, 4000)).toBeNull();
  });

  it('finds the nearest event within reach', () => {
    const event = (start: number, end: number): PerchEvent => ({
      id: start * 1000,
      camera: 'front',
      kind: 'motion',
      start: new Date(start).toISOString(),
      end: new Date(end).toISOString(),
      since: new Date(start).toISOString(),
      chapter: 1,
      score: 0.5,
      cause: 'motion',
      boxes: [],
      pinned: false,
      has_thumbnail: true,
    });
    const events = [event(100, 200), event(400, 410)];
    expect(eventNear(events, view, 1000, 150, 8)).toBe(events[0]);
    expect(eventNear(events, view, 1000, 416, 8)).toBe(events[1]);
    expect(eventNear(events, view, 1000, 300, 8)).toBeUndefined();
  });
});

describe('mergeTimelines', () => {
  const at = (ms: number) => new Date(ms).toISOString();
  const old: Timeline = {
    from: at(0),
    to: at(100),
    spans: [{ start: at(0), end: at(90), held: 'here' }],
    gaps: [{ start: at(90), end: at(100), cause: 'unknown' }],
    events: [],
  };

  it('lets the newer answer win inside its range', () => {
    const merged = mergeTimelines(old, {
      from: at(80),
      to: at(120),
      spans: [{ start: at(80), end: at(120), held: 'here' }],
      gaps: [],
      events: [],
    });
    expect(merged.spans).toEqual([
      { start: at(0), end: at(80), held: 'here' },
      { start: at(80), end: at(120), held: 'here' },
    ]);
    expect(merged.gaps).toEqual([]);
    expect([merged.from, merged.to]).toEqual([at(0), at(120)]);
  });

  it('drops the older answer when the two do not touch', () => {
    const far: Timeline = { from: at(500), to: at(600), spans: [], gaps: [], events: [] };
    expect(mergeTimelines(old, far)).toBe(far);
  });
});
