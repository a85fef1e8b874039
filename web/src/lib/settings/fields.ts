// How a setting stands in a form: in which unit, as which text, and what a text means. Made from the box's schema.
import { words as t } from '../en-settings';
import type { Setting } from '../types';

/** The unit that a form speaks in: how much of the box's unit one is. */
export interface Scale {
  factor: number;
  unit: string;
}

/** What somebody typed: a value, or what is wrong with it. */
export type Meant = { value: unknown } | { problem: string };

const BYTES: Scale[] = [
  { factor: 1e9, unit: 'GB' },
  { factor: 2 ** 30, unit: 'GiB' },
  { factor: 1e6, unit: 'MB' },
  { factor: 2 ** 20, unit: 'MiB' },
  { factor: 1, unit: t.units.bytes },
];
const SECONDS: Scale[] = [
  { factor: 86400, unit: t.units.days },
  { factor: 3600, unit: 'h' },
  { factor: 60, unit: 'min' },
  { factor: 1, unit: 's' },
];
/** Parts of a whole, told in hundredths. */
const SHARES: ReadonlySet<string> = new Set(['camera[].motion.min_area']);
/** Units that the setting's own name says already. */
const SAID: ReadonlySet<string> = new Set(['pictures a second']);
/** Times that stay below this are told in seconds. */
const SHORT_S = 600;

export const isNumber = (setting: Setting): boolean => setting.type === 'whole' || setting.type === 'number';

/** Without the noise of a number that was stored in fewer bits: 0.0010000000474974513 is 0.001. */
const clean = (n: number): number => Number(n.toPrecision(6));

/** The largest unit in which the value that is there reads short. */
export function scaleOf(setting: Setting, value: unknown): Scale {
  const n = typeof value === 'number' ? value : 0;
  if (setting.unit === 'bytes') return BYTES.find(({ factor }) => isShort(n / factor)) ?? BYTES.at(-1)!;
  if (setting.unit === 's') {
    const isLong = (setting.max ?? 0) > SHORT_S;
    return SECONDS.find(({ factor }) => isLong && n >= factor && n % factor === 0) ?? SECONDS.at(-1)!;
  }
  if (SHARES.has(setting.key)) return { factor: 0.01, unit: '%' };
  const unit = setting.unit ?? '';
  return { factor: 1, unit: SAID.has(unit) ? '' : unit };
}

function isShort(n: number): boolean {
  return Math.abs(n * 100 - Math.round(n * 100)) < 1e-6;
}

/** What the form's input holds for a value. */
export function shown(value: unknown, scale: Scale): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(clean(value / scale.factor));
  if (Array.isArray(value)) return value.join('\n');
  return String(value);
}

/** A value as a sentence says it, with its unit. */
export function told(setting: Setting, value: unknown, scale: Scale): string {
  if (setting.type === 'flag') return value ? t.on : t.off;
  if (setting.type === 'word') return `“${t.choices[String(value)] ?? String(value)}”`;
  if (setting.type === 'polygons') return t.areas(Array.isArray(value) ? value.length : 0);
  const text = Array.isArray(value) ? value.join(', ') : shown(value, scale);
  if (text === '') return t.nothing;
  return isNumber(setting) && scale.unit ? `${text} ${scale.unit}` : text;
}

/** From what to what a number may go; empty where there is no end that anybody meets. */
export function rangeText(setting: Setting, scale: Scale): string {
  if (!isNumber(setting) || setting.min === undefined || setting.max === undefined) return '';
  const from = finest(setting, setting.min, scale);
  // A unit that both ends have is said once.
  const least = from === scale ? shown(setting.min, scale) : told(setting, setting.min, from);
  return t.range(least, told(setting, setting.max, scale));
}

/** Half a minute is told in seconds, also where the field speaks of minutes. */
function finest(setting: Setting, value: number, scale: Scale): Scale {
  const isTooFine = value > 0 && value < scale.factor && setting.unit === 's';
  return isTooFine ? (SECONDS.find(({ factor }) => value >= factor && value % factor === 0) ?? scale) : scale;
}

/** What a text in the form means. An empty one is the way back to the default. */
export function understood(setting: Setting, text: string, scale: Scale): Meant {
  const trimmed = text.trim();
  if (setting.type === 'texts') {
    return {
      value: trimmed
        .split('\n')
        .map((line) => line.trim())
        .filter(Boolean),
    };
  }
  if (trimmed === '') return { value: null };
  if (!isNumber(setting)) return { value: trimmed };
  // Half of the world writes 0,5.
  const typed = Number(trimmed.replace(',', '.'));
  if (!Number.isFinite(typed)) return { problem: t.notANumber };
  const exact = typed * scale.factor;
  const value = setting.type === 'whole' ? Math.round(exact) : clean(exact);
  if (setting.type === 'whole' && scale.factor === 1 && value !== typed) return { problem: t.notWhole };
  const { min = -Infinity, max = Infinity } = setting;
  if (value < min || value > max) {
    return { problem: rangeText(setting, scale) || t.atLeast(told(setting, min, scale)) };
  }
  return { value };
}
