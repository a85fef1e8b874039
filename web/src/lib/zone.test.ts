// The calendar of another zone, and around the hours that its clock skips or shows twice.
import { expect, it } from 'vitest';
import { calendarOf, isZone } from './zone';

const zurich = calendarOf('Europe/Zurich');
const at = (text: string) => Date.parse(text);

it('knows which names are zones', () => {
  expect(['Europe/Zurich', 'UTC', '', 'Nowhere/Else'].map(isZone)).toEqual([true, true, false, false]);
});

it('reads and writes the clock of a zone', () => {
  const moment = at('2026-11-29T23:30:05Z');
  const civil = { year: 2026, month: 11, day: 30, hour: 0, minute: 30, second: 5 };
  expect(zurich.civil(moment)).toEqual(civil);
  expect(zurich.moment(civil)).toBe(moment);
  expect(calendarOf('Asia/Kathmandu').civil(moment)).toMatchObject({ day: 30, hour: 5, minute: 15 });
  // Days run over into months.
  expect(zurich.moment({ ...civil, day: 31 })).toBe(at('2026-11-30T23:30:05Z'));
});

it('agrees with Date where both know the zone', () => {
  const here = calendarOf(new Intl.DateTimeFormat().resolvedOptions().timeZone);
  for (let ms = at('2026-01-01T00:00:00Z'); ms < at('2027-01-01T00:00:00Z'); ms += 37 * 3_600_000) {
    expect(here.civil(ms)).toEqual(calendarOf('').civil(ms));
    expect(here.moment(here.civil(ms))).toBe(ms);
  }
});

it('bears days of 23 and 25 hours, and an hour that is not there', () => {
  const of = (month: number, day: number, hour = 0, minute = 0) =>
    zurich.moment({ year: 2026, month, day, hour, minute, second: 0 });
  expect((of(3, 30) - of(3, 29)) / 3_600_000).toBe(23);
  expect((of(10, 26) - of(10, 25)) / 3_600_000).toBe(25);
  // 02:30 does not exist on 29 March: half an hour after the gap began, as in Date.
  expect(of(3, 29, 2, 30)).toBe(at('2026-03-29T01:30:00Z'));
  // 02:30 comes twice on 25 October: the first.
  expect(of(10, 25, 2, 30)).toBe(at('2026-10-25T00:30:00Z'));
  // Midnight itself is skipped in Havana on 8 March 2026.
  const havana = calendarOf('America/Havana');
  const midnight = havana.moment({ year: 2026, month: 3, day: 8, hour: 0, minute: 0, second: 0 });
  expect(havana.civil(midnight)).toMatchObject({ day: 8, hour: 1 });
});
