// That a camera is switched off, as people say it.
import { t as app } from './en';
import { words as t } from './en-modes';
import { onDay, toMs } from './time';
import type { CameraInfo, Gap } from './types';

/** "Switched off by Anna since 14:02"; empty where it is on. */
export function offWords(camera: CameraInfo, nowMs: number): string {
  const { off } = camera.health;
  return off ? t.off(t.by(off.by), onDay(toMs(off.since), nowMs)) : '';
}

/** "On again at 18:00"; empty where nobody knows. */
export function untilWords(camera: CameraInfo, nowMs: number): string {
  const until = camera.health.off?.until;
  return until ? t.until(onDay(toMs(until), nowMs)) : '';
}

/** Why nothing was recorded, and by whom where somebody meant it. */
export const gapWords = (gap: Gap): string =>
  gap.cause === 'switched_off' ? t.gap(gap) : app.timeline.gap[gap.cause];
