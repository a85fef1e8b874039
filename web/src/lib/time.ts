// Times as people read them: in the viewer's zone or the box's, relative when under an hour, exact on demand. Nothing else writes times.
import { t } from './en';
import { calendarOf } from './zone';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** How hours are counted: to 12, to 24, or as the browser's region has it. */
export type Hours = 'auto' | '12' | '24';

/** The page's language, in the reader's own kind of it where that is among the browser's: dates stand in sentences of this language. */
export function pageLocale(languages: readonly string[]): string {
  return languages.find((language) => /^en\b/.test(language)) ?? 'en-GB';
}

/** Formats of times in the page's language; hours as chosen, else as the browser's first language counts them; `zone` empty is the viewer's. */
export function formatsFor(languages: readonly string[], hours: Hours, zone = '') {
  const locale = pageLocale(languages);
  // Days are counted as this page counts them, in digits that its sentences have, whatever the browser adds to its language.
  const always = { calendar: 'gregory', numberingSystem: 'latn', ...(zone ? { timeZone: zone } : {}) };
  const of = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(locale, { ...always, ...options });
  // Each takes a browser milliseconds to make, of which a phone has few while a page opens: none before it is used.
  const counted = once(() => {
    const own = () => new Intl.DateTimeFormat(languages[0], { hour: 'numeric' }).resolvedOptions().hour12;
    const hour12 = hours === 'auto' ? own() : hours === '12';
    // Midnight is 00:00 and 12:00 AM.
    return hour12
      ? ({ hour: 'numeric', hourCycle: 'h12' } as const)
      : ({ hour: '2-digit', hourCycle: 'h23' } as const);
  });
  const formats = {
    clock: once(() => of({ ...counted(), minute: '2-digit' })),
    clockSeconds: once(() => of({ ...counted(), minute: '2-digit', second: '2-digit' })),
    dayShort: once(() => of({ weekday: 'short', day: 'numeric', month: 'short' })),
    dayLong: once(() => of({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })),
    exact: once(() => of({ dateStyle: 'full', timeStyle: 'long', hourCycle: counted().hourCycle })),
  };
  return (name: keyof typeof formats, ms: number): string => formats[name]().format(ms);
}

/** What `make` gives, made when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

const languages = typeof navigator === 'undefined' ? [] : navigator.languages;
let write = formatsFor(languages, 'auto');
let calendar = calendarOf('');

/** From now on times are written like this; `zone` empty is the viewer's. */
export function writeTimes({ hours, zone }: { hours: Hours; zone: string }): void {
  write = formatsFor(languages, hours, zone);
  calendar = calendarOf(zone);
}

/** Milliseconds since the epoch of an RFC 3339 text. */
export const toMs = (text: string): number => Date.parse(text);

export const clockTime = (ms: number): string => write('clock', ms);
export const clockTimeSeconds = (ms: number): string => write('clockSeconds', ms);
export const exactTime = (ms: number): string => write('exact', ms);

const midnight = { hour: 0, minute: 0, second: 0 };

/** Midnight before `ms`. */
export function startOfDay(ms: number): number {
  return calendar.moment({ ...calendar.civil(ms), ...midnight });
}

/** The midnight `days` later; days of 23 and 25 hours count as days. */
export function addDays(ms: number, days: number): number {
  const civil = calendar.civil(ms);
  return calendar.moment({ ...civil, day: civil.day + days });
}

const two = (n: number) => String(n).padStart(2, '0');

/** `2025-03-09`, for date fields. */
export function dayKey(ms: number): string {
  const { year, month, day } = calendar.civil(ms);
  return `${year}-${two(month)}-${two(day)}`;
}

/** Midnight of a date field's value, or null. */
export function fromDayKey(key: string): number | null {
  return fromFieldTime(`${key}T00:00`);
}

/** `2025-03-09T14:05`, for fields of a date and a time. */
export function fieldTime(ms: number): string {
  const { hour, minute } = calendar.civil(ms);
  return `${dayKey(ms)}T${two(hour)}:${two(minute)}`;
}

/** The moment of such a field's value, or null. */
export function fromFieldTime(text: string): number | null {
  const parts = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})/.exec(text)?.slice(1).map(Number);
  if (!parts) return null;
  const [year, month, day, hour, minute] = parts as [number, number, number, number, number];
  return calendar.moment({ year, month, day, hour, minute, second: 0 });
}

/** "Today", "Yesterday" or the date. */
export function dayName(ms: number, nowMs: number): string {
  const day = startOfDay(ms);
  if (day === startOfDay(nowMs)) return t.time.today;
  if (day === addDays(startOfDay(nowMs), -1)) return t.time.yesterday;
  return write('dayShort', ms);
}

export const dayNameLong = (ms: number): string => write('dayLong', ms);

/** "just now", "4 min ago" under an hour; then "14:02", "yesterday 14:02" or the date. */
export function ago(ms: number, nowMs: number): string {
  const age = nowMs - ms;
  if (age < MINUTE) return t.time.justNow;
  if (age < HOUR) return t.time.minutesAgo(Math.floor(age / MINUTE));
  return onDay(ms, nowMs);
}

/** "14:02" today, else with its day: for "since 14:02". */
export function onDay(ms: number, nowMs: number): string {
  if (startOfDay(ms) === startOfDay(nowMs)) return clockTime(ms);
  return t.time.dayAt(dayName(ms, nowMs), clockTime(ms));
}

/** "14:02:07" today, else with its day: of a picture. */
export function momentWords(ms: number, nowMs: number): string {
  if (startOfDay(ms) === startOfDay(nowMs)) return clockTimeSeconds(ms);
  return t.time.dayAt(dayName(ms, nowMs), clockTimeSeconds(ms));
}

/** "8 s", "2 min 5 s", "3 h 20 min", "4 d 2 h": the two largest units. */
export function duration(ms: number): string {
  const total = Math.max(0, Math.round(ms / SECOND));
  const units: [number, string][] = [
    [86400, t.unit.day],
    [3600, t.unit.hour],
    [60, t.unit.minute],
    [1, t.unit.second],
  ];
  const first = units.findIndex(([size]) => total >= size);
  if (first < 0) return `0 ${t.unit.second}`;
  const [size, name] = units[first]!;
  const next = units[first + 1];
  const rest = next ? Math.floor((total % size) / next[0]) : 0;
  const head = `${Math.floor(total / size)} ${name}`;
  return next && rest > 0 ? `${head} ${rest} ${next[1]}` : head;
}
