// A camera's state as people say it, with the colour class of its dot.
import { sentence } from './api';
import { t } from './en';
import { notices } from './notices.svelte';
import { onDay, toMs } from './time';
import type { CameraInfo } from './types';

export type Tone = 'good' | 'busy' | 'bad' | 'off';

export function tone(camera: CameraInfo): Tone {
  const { state } = camera.health;
  if (notices.lostSinceMs !== null) return 'bad';
  if (state === 'live') return 'good';
  if (state === 'off') return 'off';
  return state === 'starting' || state === 'overloaded' ? 'busy' : 'bad';
}

/** Short, for a tile: "Live", "Starting", "Not connected since 14:02". Of a box that is silent nothing newer is known. */
export function stateWords(camera: CameraInfo, nowMs: number): string {
  const { state, since, sound_problem } = camera.health;
  if (notices.lostSinceMs !== null) return t.camera.state.unreachable(onDay(notices.lostSinceMs, nowMs));
  if (state === 'live' && sound_problem) return t.camera.state.liveMute();
  // In the words of its kind of camera: "Does not answer since 14:02".
  const { trouble } = camera.health;
  if (trouble) return t.camera.state.trouble(capital(trouble.what), onDay(toMs(since), nowMs));
  return t.camera.state[state](onDay(toMs(since), nowMs));
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** What is wrong and what to do, in sentences; empty while all is well. */
export function reasonWords(camera: CameraInfo): string {
  const { state, reason, trouble } = camera.health;
  if (trouble) return `${capital(trouble.what)}. ${trouble.remedy}`;
  return state === 'live' || state === 'starting' ? '' : sentence(reason);
}

/** What the camera, the driver or GStreamer said, for who looks for a cause; empty where people are told the same. */
export const detailWords = ({ health }: CameraInfo): string =>
  health.trouble ? sentence(health.reason) : '';

/** The camera's card under System, for links. */
export const cardId = (camera: string): string => `camera-${camera}`;

/** Whether asking for a live picture can succeed. */
export const canShow = (camera: CameraInfo): boolean =>
  !['missing', 'failed', 'off'].includes(camera.health.state);
