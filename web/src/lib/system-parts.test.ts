// Where the page leads from the box's own sentence, and which cameras are marked.
import { describe, expect, it } from 'vitest';
import { isFaulty, lineOf, placeOf } from './system-parts';
import type { CameraInfo, Permission, Status } from './types';

const camera = (id: string, health: Partial<CameraInfo['health']> = {}): CameraInfo =>
  ({
    id,
    name: id.toUpperCase(),
    health: { state: 'live', reason: '', trouble: null, off: null, ...health },
    recording: { state: 'recording', reason: '' },
  }) as CameraInfo;
const trouble = { cause: 'awaits_keyframe', what: 'waits', remedy: '' } as const;
const about = (about: Status['about'], cameras = [camera('door')]): Status =>
  ({ about, cameras }) as unknown as Status;

describe('the place of the sentence', () => {
  const everything = (): boolean => true;
  const nothing = (): boolean => false;
  it.each<[Status['about'], string | null, string | null]>([
    [{ part: 'camera', camera: 'door' }, '/system/cameras#camera-door', '/system/cameras#camera-door'],
    // One that was removed since.
    [{ part: 'camera', camera: 'gone' }, '/system/cameras', '/system/cameras'],
    [{ part: 'no_camera' }, '/add-camera', null],
    [{ part: 'storage' }, '/system/storage', '/system/storage'],
    [{ part: 'copies' }, '/system/copies', '/system/copies'],
    [{ part: 'task' }, '/system/log', '/system/box'],
    [{ part: 'access' }, '/system/people', null],
    [{ part: 'certificate' }, '/system/box', '/system/box'],
    [{ part: 'clock' }, '/system/box', '/system/box'],
    [null, null, null],
  ])('%o', (said, admins, viewers) => {
    expect(placeOf(about(said), everything)?.href ?? null).toBe(admins);
    expect(placeOf(about(said), nothing)?.href ?? null).toBe(viewers);
  });
  it('asks what the viewer may by name', () => {
    const may = (permission: Permission): boolean => permission === 'manage_people';
    expect(placeOf(about({ part: 'access' }), may)?.href).toBe('/system/people');
    expect(placeOf(about({ part: 'no_camera' }), may)).toBeNull();
  });
});

it('the line of the copies says how they are, and marks what somebody must see to', () => {
  const line = (copies: Status['copies']) => lineOf('copies', { copies } as Status, null);
  expect(line({ stores: 0, state: null, alarm: '' }).text).toBe('In a store of your own');
  expect(line({ stores: 2, state: 'copying', alarm: '' })).toEqual({ text: 'Copying now', isBad: false });
  expect(line({ stores: 1, state: 'stopped', alarm: 'nothing is copied' })).toMatchObject({ isBad: true });
});

it('the line of the overview says what the sentence says, and marks it alike', () => {
  const line = (state: Status['state'], said: Status['about']) =>
    lineOf('overview', { ...about(said), state }, null);
  expect(line('ok', null)).toEqual({ text: 'Everything works', isBad: false });
  expect(line('ok', { part: 'clock' })).toMatchObject({
    text: 'Works, clock not synchronised',
    isBad: false,
    isBusy: true,
  });
  expect(line('ok', { part: 'no_camera' }).text).toBe('No camera yet');
  expect(line('degraded', { part: 'storage' })).toMatchObject({ isBad: true });
});

it('a start is no fault, whatever it is called, until it is known what it waits for', () => {
  expect(isFaulty(camera('door', { state: 'starting', reason: 'starts' }))).toBe(false);
  expect(isFaulty(camera('door', { state: 'starting', reason: 'starting', trouble }))).toBe(true);
  expect(isFaulty(camera('door'))).toBe(false);
  expect(isFaulty(camera('door', { state: 'stalled' }))).toBe(true);
});
