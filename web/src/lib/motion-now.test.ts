// What moves now, and the words for it.
import { describe, expect, it } from 'vitest';
import { afterNews, motionNow, runningOf, standing } from './motion-now';
import { HOUR, MINUTE, clockTime } from './time';
import type { PerchEvent } from './types';

const NOW = new Date(2026, 4, 1, 20, 30).getTime();
const iso = (ms: number) => new Date(ms).toISOString();

/** An event of a camera, in minutes before now. */
function event(startedMin: number, endedMin: number | null, more: Partial<PerchEvent> = {}): PerchEvent {
  const startMs = NOW - startedMin * MINUTE;
  const end = endedMin === null ? null : iso(NOW - endedMin * MINUTE);
  const start = iso(startMs);
  return { id: startMs * 1000, camera: 'door', start, end, since: start, chapter: 1, ...more } as PerchEvent;
}

describe('what runs', () => {
  it('is what has no end, the newest of each camera', () => {
    const yard = event(9, null, { camera: 'yard' });
    const running = runningOf([event(1, null), event(5, 3), yard]);
    expect([...running.keys()].sort()).toEqual(['door', 'yard']);
    // A newer one that is over ends an older one whose end was never heard.
    expect(runningOf([event(1, 0.5), event(5, null)]).size).toBe(0);
  });

  it('follows the news: started, ended, next chapter, and a late word of an older one', () => {
    const first = event(4, null);
    const second = event(2, null, { since: first.start, chapter: 2 });
    let running = afterNews(new Map(), first);
    expect(running.get('door')).toBe(first);
    running = afterNews(running, { ...first, end: second.start });
    expect(running.has('door')).toBe(false);
    running = afterNews(running, second);
    running = afterNews(running, { ...first, end: second.start });
    expect(running.get('door')).toBe(second);
    expect(afterNews(running, event(60, 59, { camera: 'yard' }))).toBe(running);
  });
});

describe('words', () => {
  const at = (min: number) => clockTime(NOW - min * MINUTE);
  const cases: [string, PerchEvent, string, string][] = [
    ['just started', event(0.5, null), `Motion now, since ${at(0.5)}`, 'Going on now'],
    ['under an hour', event(12.7, null), `Motion now, since ${at(12.7)}`, 'Going on for 12 min'],
    ['longer', event(150, null), `Motion now, since ${at(150)}`, `Going on since ${at(150)}`],
    [
      'a later chapter',
      event(1, null, { since: iso(NOW - 5 * MINUTE), chapter: 3 }),
      `Motion now, since ${at(5)}`,
      'Part 3, going on for 5 min',
    ],
    [
      'a later chapter after hours',
      event(1, null, { since: iso(NOW - 3 * HOUR), chapter: 91 }),
      `Motion now, since ${at(180)}`,
      `Part 91, going on since ${at(180)}`,
    ],
  ];
  it.each(cases)('for what %s', (_name, running, tile, card) => {
    expect(motionNow(running, NOW)).toBe(tile);
    expect(standing(running, NOW)).toBe(card);
  });

  it('say of a later chapter that is over what it is a part of, and nothing of a plain event', () => {
    const part = event(3, 1, { since: iso(NOW - 5 * MINUTE), chapter: 2 });
    expect(standing(part, NOW)).toBe(`Part 2 of what began ${at(5)}`);
    expect(standing(event(3, 1), NOW)).toBe('');
  });
});
