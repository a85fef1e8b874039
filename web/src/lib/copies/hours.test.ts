// Hours of copies: asked for around the window, asked for again, and what is said of one.
import { describe, expect, it } from 'vitest';
import { hourWords } from '../en-copies';
import { ManualClock } from '../testing/manual-clock';
import { HOUR } from '../time';
import type { CopyHour, CopyHours } from '../types';
import { CopiedHours } from './hours.svelte';

const hour = (more: Partial<CopyHour>): CopyHour => ({
  start: new Date(0).toISOString(),
  state: 'local',
  lost: 0,
  waiting: 0,
  unwanted: 0,
  copied: 0,
  verified: 0,
  ...more,
});

describe('hours of copies', () => {
  it('are asked for around the window, when it leaves what is known, and again', async () => {
    const clock = new ManualClock();
    const asked: { fromMs: number; toMs: number }[] = [];
    const answer: CopyHours = { hours: [hour({ state: 'verified', verified: 3 })], reason: 'no way' };
    const copies = new CopiedHours('door', {
      clock,
      ask: (_camera, fromMs, toMs) => {
        asked.push({ fromMs, toMs });
        return asked.length === 3 ? Promise.reject(new Error('away')) : Promise.resolve(answer);
      },
      isHidden: () => false,
    });
    const stop = copies.watch();
    const show = async (startMs: number) => {
      copies.show({ startMs, spanMs: HOUR });
      await clock.advance(1000);
    };
    await show(20 * HOUR);
    expect(asked).toEqual([{ fromMs: 8 * HOUR, toMs: 33 * HOUR }]);
    await show(25 * HOUR);
    expect(asked).toHaveLength(1);
    await show(33 * HOUR);
    expect(asked).toHaveLength(2);
    expect([copies.at(HOUR - 1)?.verified, copies.at(HOUR), copies.reason]).toEqual([3, undefined, 'no way']);
    // What was known stays when the box is away.
    await clock.advance(60_000);
    expect(asked.length).toBeGreaterThan(2);
    expect(copies.hours).toHaveLength(1);
    stop();
    const before = asked.length;
    await clock.advance(120_000);
    expect(asked).toHaveLength(before);
  });

  it('say what is so, the worst first', () => {
    expect(hourWords(hour({ lost: 1, waiting: 2, verified: 5 }), '')).toMatch(/^1 of 8 recordings had to be/);
    expect(hourWords(hour({ waiting: 2, verified: 5 }), 'no way')).toBe(
      '2 of 7 recordings on the box alone so far (no way)',
    );
    expect(hourWords(hour({ unwanted: 4 }), 'no way')).toMatch(/^only events/);
    expect(hourWords(hour({ copied: 1, unwanted: 4 }), '')).toBe('1 recording copied and not checked yet');
    expect(hourWords(hour({ verified: 12 }), 'no way')).toBe('12 recordings copied and checked');
    expect(hourWords(hour({ verified: 2, unwanted: 1 }), '')).toMatch(/stays on the box$/);
  });
});
