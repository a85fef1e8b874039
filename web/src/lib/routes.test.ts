// Each address has its page, and an address that means none has one that says so.
import { expect, it } from 'vitest';
import { NO_FILTER, eventsPath } from './event-address';
import { type Route, SYSTEM_PARTS, routeOf, systemPath } from './routes';

const at = (address: string): Route => {
  const { pathname, search, hash } = new URL(address, 'https://perch.local');
  return routeOf({ pathname, search, hash });
};

const cases: [string, Route][] = [
  ['/', { page: 'live' }],
  ['/live', { page: 'live' }],
  ['/live/', { page: 'live' }],
  ['/events', { page: 'events', event: null, filter: NO_FILTER }],
  ['/events/1796048713117361', { page: 'events', event: 1796048713117361, filter: NO_FILTER }],
  [
    '/events?camera=yard&kind=motion&day=2026-05-01&show=unseen',
    {
      page: 'events',
      event: null,
      filter: { camera: 'yard', kind: 'motion', dayMs: new Date(2026, 4, 1).getTime(), unseen: true },
    },
  ],
  ['/events?day=yesterday', { page: 'events', event: null, filter: NO_FILTER }],
  ['/events/door', { page: 'unknown' }],
  ['/events/-1', { page: 'unknown' }],
  ['/events/99999999999999999999', { page: 'unknown' }],
  ['/events/1/2', { page: 'unknown' }],
  ['/settings', { page: 'settings' }],
  ['/add-camera', { page: 'add' }],
  ['/pair#pair=12345678', { page: 'pair' }],
  ['/login', { page: 'login' }],
  ['/camera/front', { page: 'camera', camera: 'front', atMs: null }],
  [
    '/camera/front?at=2026-05-01T12:00:00Z',
    { page: 'camera', camera: 'front', atMs: Date.UTC(2026, 4, 1, 12) },
  ],
  ['/camera/front?at=yesterday', { page: 'camera', camera: 'front', atMs: null }],
  ['/camera/front/settings', { page: 'cameraSettings', camera: 'front' }],
  ['/system', { page: 'system', part: 'overview' }],
  ['/system/', { page: 'system', part: 'overview' }],
  ['/system/box', { page: 'system', part: 'box' }],
  // Links from before the parts had addresses of their own.
  ['/system#camera-front', { page: 'system', part: 'cameras' }],
  ['/system/cameras#camera-front', { page: 'system', part: 'cameras' }],
  ['/system#other', { page: 'system', part: 'overview' }],
  ['/foo', { page: 'unknown' }],
  ['/foo/bar', { page: 'unknown' }],
  ['/live/bar', { page: 'unknown' }],
  ['/camera', { page: 'unknown' }],
  ['/camera/front/bar', { page: 'unknown' }],
  ['/camera/front/settings/bar', { page: 'unknown' }],
  ['/system/foo', { page: 'unknown' }],
  ['/system/overview', { page: 'unknown' }],
  ['/system/box/foo', { page: 'unknown' }],
  ['/camera/%E0%A4%A', { page: 'camera', camera: '%E0%A4%A', atMs: null }],
];

it.each(cases)('%s', (address, route) => expect(at(address)).toEqual(route));

it('leads to each part of System by its path', () => {
  for (const part of SYSTEM_PARTS) expect(at(systemPath(part))).toEqual({ page: 'system', part });
});

it('writes the address of events as it reads it', () => {
  for (const address of [
    '/events',
    '/events/17',
    '/events?camera=yard&kind=motion&day=2026-05-01&show=unseen',
    '/events/17?camera=%C3%BC',
  ]) {
    const route = at(address);
    expect(route.page === 'events' && eventsPath(route)).toBe(address);
  }
});
