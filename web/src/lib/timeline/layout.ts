// Where recorded spans, gaps and events stand on the strip. Pure.
import { toMs } from '../time';
import type { PerchEvent, Timeline } from '../types';
import { type View, endMs, xAt } from './view';

export interface Stretch {
  startMs: number;
  endMs: number;
}

/** One that is recorded, and where it can be had. */
export interface SpanStretch extends Stretch {
  held: Timeline['spans'][number]['held'];
}

/** One that is not recorded, and why. */
export interface GapStretch extends Stretch {
  words: string;
}

export interface Rect {
  x: number;
  w: number;
}

/** Pixels of the stretches inside the window; neighbours closer than a pixel become one. */
export function layoutStretches(stretches: readonly Stretch[], view: View, width: number): Rect[] {
  const out: Rect[] = [];
  for (const s of stretches) {
    if (s.endMs <= view.startMs || s.startMs >= endMs(view)) continue;
    const left = Math.max(0, xAt(view, width, s.startMs));
    const right = Math.min(width, xAt(view, width, s.endMs));
    const last = out[out.length - 1];
    if (last && left - (last.x + last.w) < 1) last.w = Math.max(last.w, right - last.x);
    else out.push({ x: left, w: right - left });
  }
  return out;
}

/** The stretch that holds `ms`, by binary search; stretches are in order and do not overlap. */
export function stretchAt<S extends Stretch>(stretches: readonly S[], ms: number): S | undefined {
  const index = firstEndingAfter(stretches, ms);
  const found = stretches[index];
  return found && found.startMs <= ms ? found : undefined;
}

/** The first moment at or after `ms` that lies in a stretch, or null. */
export function nextIn(stretches: readonly Stretch[], ms: number): number | null {
  const found = stretches[firstEndingAfter(stretches, ms)];
  return found ? Math.max(ms, found.startMs) : null;
}

function firstEndingAfter(stretches: readonly Stretch[], ms: number): number {
  let low = 0;
  let high = stretches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (stretches[middle]!.endMs <= ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The event nearest to a point of the strip, if it lies within `reachPx`. */
export function eventNear(
  events: readonly PerchEvent[],
  view: View,
  width: number,
  x: number,
  reachPx: number,
): PerchEvent | undefined {
  let best: PerchEvent | undefined;
  let bestDistance = reachPx;
  for (const event of events) {
    const left = xAt(view, width, toMs(event.start));
    const right = event.end ? xAt(view, width, toMs(event.end)) : left;
    const distance = x < left ? left - x : x > right ? x - right : 0;
    if (distance <= bestDistance) {
      best = event;
      bestDistance = distance;
    }
  }
  return best;
}

/** Puts a newer answer over an older one: the newer wins inside its range. */
export function mergeTimelines(old: Timeline, fresh: Timeline): Timeline {
  const from = toMs(fresh.from);
  const to = toMs(fresh.to);
  if (from > toMs(old.to) || to < toMs(old.from)) return fresh;
  const outside = <S extends { start: string; end: string }>(list: S[]): [S[], S[]] => [
    list.filter((s) => toMs(s.start) < from).map((s) => (toMs(s.end) > from ? { ...s, end: fresh.from } : s)),
    list.filter((s) => toMs(s.end) > to).map((s) => (toMs(s.start) < to ? { ...s, start: fresh.to } : s)),
  ];
  const [spansBefore, spansAfter] = outside(old.spans);
  const [gapsBefore, gapsAfter] = outside(old.gaps);
  const known = new Set(fresh.events.map((e) => e.id));
  return {
    from: from < toMs(old.from) ? fresh.from : old.from,
    to: to > toMs(old.to) ? fresh.to : old.to,
    spans: [...spansBefore, ...fresh.spans, ...spansAfter],
    gaps: [...gapsBefore, ...fresh.gaps, ...gapsAfter],
    events: [...old.events.filter((e) => !known.has(e.id)), ...fresh.events].sort((a, b) => a.id - b.id),
  };
}
