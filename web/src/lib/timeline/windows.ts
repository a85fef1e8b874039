// Which part of a timeline to ask for, and how news and answers come together. Pure.
import { MINUTE, SECOND, toMs } from '../time';
import type { PerchEvent, Timeline } from '../types';
import { type View, endMs } from './view';

/** How often the live end is asked for. */
export const TAIL_MS = 10 * SECOND;

export interface Range {
  fromMs: number;
  toMs: number;
}

/** What to load for a view, with as much again on both sides; null when it is there already. */
export function wideRange(view: View, loaded: Timeline | null, nowMs: number): Range | null {
  const needMs = Math.min(endMs(view), nowMs - 2 * TAIL_MS);
  if (loaded && toMs(loaded.from) <= view.startMs && toMs(loaded.to) >= needMs) return null;
  const margin = Math.max(view.spanMs, 10 * MINUTE);
  // Nothing later than now, with a second's grace for clocks that differ a little.
  return { fromMs: view.startMs - margin, toMs: Math.min(endMs(view) + margin, nowMs + SECOND) };
}

/** What to load to keep a view's live end fresh; null when the view is elsewhere. */
export function tailRange(view: View | null, loaded: Timeline | null, nowMs: number): Range | null {
  const isAtLiveEnd = view !== null && endMs(view) > nowMs - view.spanMs * 0.1;
  if (!loaded || !isAtLiveEnd) return null;
  // A little of the past too: an open file's last entry may have grown.
  const fromMs = Math.min(toMs(loaded.to), nowMs) - 2 * MINUTE;
  return { fromMs: Math.max(fromMs, toMs(loaded.from)), toMs: nowMs };
}

/** The timeline with an event that is new or has changed; one from before it is left out. */
export function withEvent(timeline: Timeline, event: PerchEvent): Timeline {
  if (toMs(event.start) < toMs(timeline.from)) return timeline;
  const others = timeline.events.filter((other) => other.id !== event.id);
  return { ...timeline, events: [...others, event].sort((a, b) => a.id - b.id) };
}
