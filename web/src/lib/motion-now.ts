// What moves right now, and how it is said: from the events that have no end yet. Pure.
import { t } from './en';
import { HOUR, MINUTE, duration, onDay, toMs } from './time';
import type { PerchEvent } from './types';

/** The event that goes on at each camera, by its id. */
export type Running = ReadonlyMap<string, PerchEvent>;

/** The running events of a newest-first list. */
export function runningOf(events: readonly PerchEvent[]): Running {
  return [...events].reverse().reduce<Running>(afterNews, new Map());
}

/** After news of an event: it started, grew or ended. */
export function afterNews(running: Running, event: PerchEvent): Running {
  const known = running.get(event.camera);
  // What is said late of an older event says nothing about now.
  if (known && known.id > event.id) return running;
  if (event.end !== null && !known) return running;
  const next = new Map(running);
  if (event.end === null) next.set(event.camera, event);
  else next.delete(event.camera);
  return next;
}

/** When the motion started that this event is a chapter of. */
export const sinceMs = (event: PerchEvent): number => toMs(event.since);

/** "for 12 min" under an hour, then "since 14:02"; empty in the first minute. */
function howLong(startMs: number, nowMs: number): string {
  const age = nowMs - startMs;
  if (age < MINUTE) return '';
  if (age < HOUR) return t.motion.forTime(duration(Math.floor(age / MINUTE) * MINUTE));
  return t.motion.since(onDay(startMs, nowMs));
}

/** For a camera's tile: "Motion now, since 14:02". */
export function motionNow(event: PerchEvent, nowMs: number): string {
  return t.motion.now(t.motion.since(onDay(sinceMs(event), nowMs)));
}

/** What there is to say of an event beyond its start: "Going on for 4 min", "Part 3 of what began 14:02"; often nothing. */
export function standing(event: PerchEvent, nowMs: number): string {
  const { chapter } = event;
  if (event.end !== null) {
    return chapter > 1 ? t.motion.partOf(chapter, onDay(sinceMs(event), nowMs)) : '';
  }
  const goingOn = howLong(sinceMs(event), nowMs);
  return chapter > 1 ? t.motion.partGoingOn(chapter, goingOn) : t.motion.goingOn(goingOn);
}
