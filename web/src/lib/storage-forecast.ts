// How much the cameras write and for how long the disk lasts, from what they send right now. Pure.
import type { CameraInfo, Status } from './types';

const DAY_S = 86_400;

export interface CameraShare {
  camera: CameraInfo;
  /** Bytes a day while it is recorded all the time. */
  dayBytes: number;
}

/** What each camera that is recorded would write a day at its rate of now, the most first. */
export function sharesOf(cameras: readonly CameraInfo[]): CameraShare[] {
  return cameras
    .filter((camera) => camera.record_mode !== 'off' && camera.capture.bitrate_kbps > 0)
    .map((camera) => ({ camera, dayBytes: (camera.capture.bitrate_kbps * 1000 * DAY_S) / 8 }))
    .sort((a, b) => b.dayBytes - a.dayBytes);
}

/**
 * Days that fit if all of them were recorded all the time: at least so many. Null while nothing is known. What stands on the disk now is
 * deleted for new recordings, so it counts as room.
 */
export function daysThatFit(disk: Status['disk'], shares: readonly CameraShare[]): number | null {
  const dayBytes = shares.reduce((sum, share) => sum + share.dayBytes, 0);
  const room = disk.free_bytes + disk.recordings_bytes;
  return dayBytes > 0 && room > 0 ? room / dayBytes : null;
}
