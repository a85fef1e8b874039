// The window of time a timeline shows, and how zooming and dragging change it. Pure; times are milliseconds since the epoch.
import { LONGEST_RANGE_S } from '../limits';
import { DAY, SECOND } from '../time';

export interface View {
  startMs: number;
  spanMs: number;
}

export const MIN_SPAN_MS = 10 * SECOND;
export const MAX_SPAN_MS = DAY;
/** How far back one can go: with the longest window before it, the box still answers for all of it at once. */
export const MAX_AGE_MS = LONGEST_RANGE_S * SECOND - MAX_SPAN_MS;
/** Room right of now, as a part of the window, so that the live mark is not cut off. */
export const EDGE = 0.04;

export const endMs = (view: View): number => view.startMs + view.spanMs;

export function timeAt(view: View, width: number, x: number): number {
  return view.startMs + (x / width) * view.spanMs;
}

export function xAt(view: View, width: number, ms: number): number {
  return ((ms - view.startMs) / view.spanMs) * width;
}

export const contains = (view: View, ms: number): boolean => ms >= view.startMs && ms <= endMs(view);

/** The window that ends now, with the live mark at its right edge. */
export function liveView(spanMs: number, nowMs: number): View {
  return { startMs: nowMs - spanMs * (1 - EDGE), spanMs };
}

/** Keeps the window between a year ago and now. */
export function clamp(view: View, nowMs: number): View {
  const spanMs = Math.min(MAX_SPAN_MS, Math.max(MIN_SPAN_MS, view.spanMs));
  const latest = nowMs - spanMs * (1 - EDGE);
  const startMs = Math.min(latest, Math.max(nowMs - MAX_AGE_MS, view.startMs));
  return { startMs, spanMs };
}

/** Zooms by `factor` (above 1 shows less time); `anchorMs` stays where it is on the screen. */
export function zoomAround(view: View, factor: number, anchorMs: number, nowMs: number): View {
  const spanMs = Math.min(MAX_SPAN_MS, Math.max(MIN_SPAN_MS, view.spanMs / factor));
  const share = (anchorMs - view.startMs) / view.spanMs;
  return clamp({ startMs: anchorMs - share * spanMs, spanMs }, nowMs);
}

/** Moves the window with the finger: `dx` pixels to the right show earlier times. Not clamped: a finger may overshoot. */
export function pan(view: View, width: number, dx: number): View {
  return { ...view, startMs: view.startMs - (dx / width) * view.spanMs };
}

/**
 * Scrolls just enough to keep a moving playhead inside the first nine tenths, however far it has come since `beforeMs`. A window that
 * was moved away from it stays where it is.
 */
export function follow(view: View, beforeMs: number, ms: number, nowMs: number): View {
  const limit = view.startMs + view.spanMs * 0.9;
  if (ms <= limit || !contains(view, beforeMs)) return view;
  return clamp({ ...view, startMs: ms - view.spanMs * 0.9 }, nowMs);
}

/** Brings `ms` into the window, centred, when it is outside. */
export function reveal(view: View, ms: number, nowMs: number): View {
  return contains(view, ms) ? view : clamp({ ...view, startMs: ms - view.spanMs / 2 }, nowMs);
}
