// People with their devices, and what is said and sent of their access.
import { describe, expect, it } from 'vitest';
import {
  type Access,
  accessOf,
  changeOf,
  inWords,
  loneDevices,
  personsOf,
  problemOf,
  toGive,
  wholeAccess,
} from './people-list';
import { fieldTime } from './time';
import type { Device, User } from './types';

const NOW = new Date(2026, 4, 1, 12).getTime();
const later = (hours: number) => new Date(NOW + hours * 3_600_000).toISOString();
const user = (name: string, more: Partial<User> = {}): User => ({
  name,
  role: 'viewer',
  created_at: later(-99),
  ...more,
});
const device = (id: string, username: string | null, current = false): Device => ({
  id,
  name: 'Chrome on Linux',
  kind: 'session',
  username,
  role: 'viewer',
  created_at: later(-9),
  last_seen_at: later(-1),
  current,
  live_sessions: 0,
});

describe('people with their devices', () => {
  const users = [user('zoe'), user('anna'), user('Ben')];
  const devices = [device('1', 'BEN'), device('2', 'ben', true), device('3', null), device('4', 'ghost')];

  it('puts whoever looks first, and each device below its person', () => {
    const list = personsOf(users, devices, 'ben');
    expect(list.map(({ user, isYou }) => [user.name, isYou])).toEqual([
      ['Ben', true],
      ['anna', false],
      ['zoe', false],
    ]);
    expect(list[0]?.devices.map(({ id }) => id)).toEqual(['2', '1']);
    expect(list[1]?.devices).toEqual([]);
  });

  it('loses no device', () => {
    expect(loneDevices(users, devices).map(({ id }) => id)).toEqual(['3', '4']);
    for (const known of [[], users]) {
      const shown = personsOf(known, devices, null).flatMap((person) => person.devices);
      expect(shown.length + loneDevices(known, devices).length).toBe(devices.length);
    }
  });
});

describe('access', () => {
  const name = (id: string) => ({ front: 'Front door', yard: 'Yard' })[id] ?? id;

  it('is said in words', () => {
    expect(inWords(user('a', { role: 'admin' }), name, NOW)).toBe('Administrator');
    expect(inWords(user('a'), name, NOW)).toBe('Viewer, all cameras');
    const limited = user('a', { cameras: ['front', 'yard'], live_only: true, expires_at: later(1) });
    expect(inWords(limited, name, NOW)).toMatch(/^Viewer, Front door, Yard, live only, until .*1:00/);
    expect(inWords(user('a', { expires_at: later(-1) }), name, NOW)).toMatch(/^Viewer, all cameras, ended /);
  });

  it('goes into a form and comes out as it was', () => {
    for (const given of [
      { role: 'viewer' as const },
      { role: 'admin' as const },
      {
        role: 'viewer' as const,
        cameras: ['front'],
        live_only: true,
        expires_at: '2026-05-02T10:00:00.000Z',
      },
    ]) {
      expect(toGive(accessOf(given))).toEqual(given);
      expect(changeOf(accessOf(given), accessOf(given))).toEqual({});
    }
    expect(fieldTime(NOW)).toBe('2026-05-01T12:00');
  });

  it('changes what was changed and nothing else', () => {
    const before = accessOf({ role: 'viewer', cameras: ['front'], expires_at: later(5) });
    const after = (change: Partial<Access>) => changeOf(before, { ...before, ...change });
    expect(after({ all: true })).toEqual({ cameras: null });
    expect(after({ cameras: ['yard', 'front'] })).toEqual({ cameras: ['front', 'yard'] });
    expect(after({ until: '' })).toEqual({ expires_at: null });
    expect(after({ liveOnly: true })).toEqual({ live_only: true });
    // An administrator has everything: the box would refuse limits.
    expect(after({ role: 'admin', liveOnly: true, until: '' })).toEqual({ role: 'admin' });
  });

  it('is refused in words before the box is asked', () => {
    expect(problemOf(wholeAccess(), NOW)).toBe('');
    expect(problemOf({ ...wholeAccess(), all: false }, NOW)).toMatch(/at least one camera/);
    expect(problemOf({ ...wholeAccess(), until: fieldTime(NOW - 60_000) }, NOW)).toMatch(/time to come/);
    expect(problemOf({ ...wholeAccess(), until: fieldTime(NOW + 60_000) }, NOW)).toBe('');
    expect(problemOf({ ...wholeAccess(), role: 'admin', all: false }, NOW)).toBe('');
  });
});
