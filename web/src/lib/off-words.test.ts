// Who switched a camera off, in words.
import { expect, it } from 'vitest';
import { gapWords, offWords, untilWords } from './off-words';
import { clockTime } from './time';
import type { CameraInfo, Gap, OffBy } from './types';

const NOW = new Date(2026, 4, 1, 20, 30).getTime();
const iso = (ms: number) => new Date(ms).toISOString();
const camera = (by: OffBy | null, untilMs: number | null = null) => {
  const until = untilMs === null ? null : iso(untilMs);
  return { health: { off: by && { by, since: iso(NOW - 60_000), until } } } as CameraInfo;
};

it.each([
  [{ kind: 'person', name: 'Anna' }, 'by Anna'],
  [{ kind: 'profile', name: 'Away' }, 'by the profile Away'],
  [{ kind: 'schedule', name: '22:00 to 06:00' }, 'by the schedule 22:00 to 06:00'],
  [{ kind: 'box' }, 'because the box no longer knows what was off'],
] as [OffBy, string][])('%o', (by, words) => {
  expect(offWords(camera(by), NOW)).toBe(`Switched off ${words} since ${clockTime(NOW - 60_000)}`);
  const gap: Gap = { start: '', end: '', cause: 'switched_off', by };
  expect(gapWords(gap)).toBe(`Switched off ${words}`);
});

it('what is on, or has no end, says nothing of it', () => {
  expect([offWords(camera(null), NOW), untilWords(camera(null), NOW)]).toEqual(['', '']);
  const anna: OffBy = { kind: 'person', name: 'Anna' };
  expect(untilWords(camera(anna), NOW)).toBe('');
  expect(untilWords(camera(anna, NOW + 60_000), NOW)).toBe(`On again at ${clockTime(NOW + 60_000)}`);
  expect(gapWords({ start: '', end: '', cause: 'box_off' })).toBe('The box was off');
});
