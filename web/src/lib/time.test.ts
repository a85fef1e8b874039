// Times in words.
import { afterEach, describe, expect, it } from 'vitest';
import {
  DAY,
  HOUR,
  MINUTE,
  SECOND,
  addDays,
  ago,
  clockTime,
  dayKey,
  duration,
  formatsFor,
  fromDayKey,
  onDay,
  startOfDay,
  fieldTime,
  fromFieldTime,
  writeTimes,
} from './time';

const NOW = new Date(2025, 2, 9, 15, 30).getTime();

describe('ago', () => {
  it('is relative under an hour', () => {
    expect(ago(NOW - 20 * SECOND, NOW)).toBe('just now');
    expect(ago(NOW - 4 * MINUTE - 1, NOW)).toBe('4 min ago');
    expect(ago(NOW - 59 * MINUTE, NOW)).toBe('59 min ago');
  });

  it('is a clock time on the same day, with its day before', () => {
    expect(ago(NOW - 2 * HOUR, NOW)).toBe(clockTime(NOW - 2 * HOUR));
    expect(onDay(NOW - DAY, NOW)).toBe(`yesterday ${clockTime(NOW)}`);
  });
});

describe('duration', () => {
  it('names the two largest units', () => {
    expect(duration(0)).toBe('0 s');
    expect(duration(8 * SECOND)).toBe('8 s');
    expect(duration(125 * SECOND)).toBe('2 min 5 s');
    expect(duration(2 * MINUTE)).toBe('2 min');
    expect(duration(3 * HOUR + 20 * MINUTE)).toBe('3 h 20 min');
    expect(duration(4 * DAY + 2 * HOUR)).toBe('4 d 2 h');
  });
});

describe('days', () => {
  it('are read from and written to date fields', () => {
    expect(dayKey(NOW)).toBe('2025-03-09');
    expect(fromDayKey('2025-03-09')).toBe(startOfDay(NOW));
    expect(fromDayKey('soon')).toBeNull();
  });

  it('step over midnights, not over 24 hours', () => {
    expect(dayKey(addDays(startOfDay(NOW), 31))).toBe('2025-04-09');
  });
});

describe('times in the page’s language', () => {
  const at = new Date(2026, 10, 29, 17, 5, 9).getTime();
  const cases: [string, string[], 'auto' | '12' | '24', string, string][] = [
    ['a German browser', ['de-DE', 'de'], 'auto', '17:05', 'Sunday 29 November 2026'],
    ['a German browser that was told otherwise', ['de-DE'], '12', '5:05 pm', 'Sunday 29 November 2026'],
    ['one in the United States', ['en-US', 'en'], 'auto', '5:05 PM', 'Sunday November 29 2026'],
    ['the same with 24 hours', ['en-US'], '24', '17:05', 'Sunday November 29 2026'],
    ['an Egyptian one, without Arabic digits', ['ar-EG'], 'auto', '5:05 pm', 'Sunday 29 November 2026'],
    ['one that names its English second', ['fr-FR', 'en-GB'], 'auto', '17:05', 'Sunday 29 November 2026'],
  ];
  it.each(cases)('%s', (_name, languages, hours, clock, day) => {
    const write = formatsFor(languages, hours);
    // Versions of ICU differ in blanks and commas.
    const plain = (text: string) => text.replaceAll('\u202f', ' ').replaceAll(',', '');
    expect([plain(write('clock', at)), plain(write('dayLong', at))]).toEqual([clock, day]);
  });
});

describe('times by the box’s clock', () => {
  afterEach(() => writeTimes({ hours: 'auto', zone: '' }));

  it('begins days, writes clocks and reads fields there', () => {
    const at = Date.parse('2026-11-29T20:30:00Z');
    writeTimes({ hours: '24', zone: 'Asia/Tokyo' });
    expect(clockTime(at)).toBe('05:30');
    expect(dayKey(at)).toBe('2026-11-30');
    expect(startOfDay(at)).toBe(Date.parse('2026-11-29T15:00:00Z'));
    expect(fromDayKey('2026-11-30')).toBe(startOfDay(at));
    expect(fieldTime(at)).toBe('2026-11-30T05:30');
    expect(fromFieldTime('2026-11-30T05:30')).toBe(at);
    expect(fromFieldTime('')).toBeNull();
    writeTimes({ hours: '12', zone: 'America/New_York' });
    expect(clockTime(at).replace('\u202f', ' ')).toMatch(/^3:30 pm$/i);
    expect(onDay(at, at + 12 * HOUR)).toMatch(/^yesterday 3:30/);
  });
});

it('is the only place that writes times', () => {
  const sources = import.meta.glob<string>('../**/*.{ts,svelte}', {
    query: '?raw',
    import: 'default',
    eager: true,
  });
  const writes =
    /toLocale(Date|Time)|DateTimeFormat|RelativeTimeFormat|\.(get|set)(Hours|Minutes|Date|Day|Month)\(/;
  const found = Object.entries(sources).filter(
    ([path, text]) => !/\.test\.ts$/.test(path) && writes.test(text),
  );
  expect(Object.keys(sources).length).toBeGreaterThan(100);
  expect(found.map(([path]) => path).sort()).toEqual(['./time.ts', './zone.ts']);
});
