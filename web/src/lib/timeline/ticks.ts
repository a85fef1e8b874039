// Which times a timeline's ruler names: round steps in the viewer's zone, as many as fit.
import { HOUR, MINUTE, SECOND, clockTime, clockTimeSeconds, startOfDay } from '../time';
import { type View, endMs, xAt } from './view';

export interface Tick {
  ms: number;
  x: number;
  /** Empty for the small ticks between. */
  label: string;
}

const STEPS = [
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
];

/** The smallest round step whose labels stand at least `minPx` apart. */
export function labelStep(spanMs: number, width: number, minPx: number): number {
  const fits = (step: number) => (step / spanMs) * width >= minPx;
  return STEPS.find(fits) ?? STEPS[STEPS.length - 1]!;
}

/** Small ticks between two labels: the largest step that divides the label's step into 2 to 6 parts. */
export function minorStep(step: number): number {
  const divides = (s: number) => s < step && step % s === 0 && step / s <= 6;
  return STEPS.find(divides) ?? step;
}

export function ticks(view: View, width: number, minPx = 84): Tick[] {
  const step = labelStep(view.spanMs, width, minPx);
  const minor = minorStep(step);
  const out: Tick[] = [];
  // Counted from local midnight, so that 6-hour steps stand at 6, 12 and 18 everywhere.
  let midnight = startOfDay(view.startMs);
  let ms = midnight + Math.ceil((view.startMs - midnight) / minor) * minor;
  while (ms <= endMs(view)) {
    const day = startOfDay(ms);
    if (day !== midnight) {
      midnight = day;
      ms = day + Math.ceil((ms - minor + 1 - day) / minor) * minor;
      if (ms < day) ms = day;
    }
    const isLabel = (ms - midnight) % step === 0;
    const label = !isLabel ? '' : step < MINUTE ? clockTimeSeconds(ms) : clockTime(ms);
    out.push({ ms, x: xAt(view, width, ms), label });
    ms += minor;
  }
  return out;
}
