// What of a recording belongs to an event: a little before it, until after its end. Pure.
import { SECOND, toMs } from './time';
import type { PerchEvent } from './types';

const LEAD_MS = 5 * SECOND;
const TAIL_MS = 2 * SECOND;

export function eventRange(
  event: Pick<PerchEvent, 'start' | 'end'>,
  nowMs: number,
): { fromMs: number; toMs: number } {
  const startMs = toMs(event.start);
  const endMs = event.end ? toMs(event.end) + TAIL_MS : nowMs;
  return { fromMs: startMs - LEAD_MS, toMs: Math.max(endMs, startMs + SECOND) };
}
