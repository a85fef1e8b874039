// The calendar of a time zone: the viewer's own, which Date knows, or another by its name (IANA), which Intl knows.

/** A moment as a calendar and a clock say it; `month` from 1. */
export interface Civil {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

export interface Calendar {
  /** What `ms` is there. */
  civil(ms: number): Civil;
  /** The moment of it; days and hours may run over, and one that a clock skips is that much later. */
  moment(civil: Civil): number;
}

/** Whether a zone of this name is known here. */
export function isZone(name: string): boolean {
  if (!name) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Of whoever looks, by its name. */
export const ownZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;

const OWN: Calendar = {
  civil(ms) {
    const d = new Date(ms);
    return {
      year: d.getFullYear(),
      month: d.getMonth() + 1,
      day: d.getDate(),
      hour: d.getHours(),
      minute: d.getMinutes(),
      second: d.getSeconds(),
    };
  },
  moment: ({ year, month, day, hour, minute, second }) =>
    new Date(year, month - 1, day, hour, minute, second).getTime(),
};

/** As if its clock were that of UTC. */
const asUtc = ({ year, month, day, hour, minute, second }: Civil): number =>
  Date.UTC(year, month - 1, day, hour, minute, second);

/** The calendar of a zone; empty is the viewer's own. */
export function calendarOf(zone: string): Calendar {
  if (!zone) return OWN;
  const format = new Intl.DateTimeFormat('en-u-ca-gregory-nu-latn', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const civil = (ms: number): Civil => {
    const all = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    const of = (type: Intl.DateTimeFormatPartTypes) => all.get(type) ?? 0;
    return {
      year: of('year'),
      month: of('month'),
      day: of('day'),
      hour: of('hour'),
      minute: of('minute'),
      second: of('second'),
    };
  };
  /** How far its clock is ahead of UTC then, whole seconds. */
  const ahead = (ms: number) => asUtc(civil(ms)) - Math.floor(ms / 1000) * 1000;
  const moment = (wanted: Civil): number => {
    const utc = asUtc(wanted);
    // Around a change of the clock two offsets may hold: the one before counts, as in Date, unless it misses.
    const before = utc - ahead(utc - 86_400_000);
    if (asUtc(civil(before)) === utc) return before;
    const after = utc - ahead(utc + 86_400_000);
    return asUtc(civil(after)) === utc ? after : before;
  };
  return { civil, moment };
}
