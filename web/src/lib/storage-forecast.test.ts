// The forecast of a disk that was just put in.
import { expect, it } from 'vitest';
import { daysThatFit, sharesOf } from './storage-forecast';
import type { CameraInfo, Status } from './types';

const camera = (id: string, kbps: number, record_mode = 'continuous') =>
  ({ id, record_mode, capture: { bitrate_kbps: kbps } }) as CameraInfo;
const disk = (free: number, recordings: number) =>
  ({ free_bytes: free, recordings_bytes: recordings }) as Status['disk'];

it('is known from the bit rates at once', () => {
  const shares = sharesOf([
    camera('a', 1000),
    camera('b', 4000, 'motion'),
    camera('c', 9000, 'off'),
    camera('d', 0),
  ]);
  expect(shares.map((share) => [share.camera.id, share.dayBytes])).toEqual([
    ['b', 43.2e9],
    ['a', 10.8e9],
  ]);
  expect(daysThatFit(disk(100e9, 8e9), shares)).toBe(2);
  expect(daysThatFit(disk(100e9, 8e9), [])).toBeNull();
  expect(daysThatFit(disk(0, 0), shares)).toBeNull();
});
