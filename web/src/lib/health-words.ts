// A camera's state as people say it, with the colour class of its dot.
import { sentence } from './api';
import { t } from './en';
import { onDay, toMs } from './time';
import type { CameraInfo } from './types';

export type Tone = 'good' | 'busy' | 'bad';

export function tone(camera: CameraInfo): Tone {
  const { state } = camera.health;
  if (state === 'live') return 'good';
  return state === 'starting' ? 'busy' : 'bad';
}

/** Short, for a tile: "Live", "Starting", "No camera since 14:02". */
export function stateWords(camera: CameraInfo, nowMs: number): string {
  const since = onDay(toMs(camera.health.since), nowMs);
  return t.camera.state[camera.health.state](since);
}

/** The reason in a sentence; empty while all is well. */
export function reasonWords(camera: CameraInfo): string {
  const { state, reason } = camera.health;
  return state === 'live' || reason === 'starting' ? '' : sentence(reason);
}

/** Whether asking for a live picture can succeed. */
export const canShow = (camera: CameraInfo): boolean =>
  camera.health.state !== 'missing' && camera.health.state !== 'failed';
