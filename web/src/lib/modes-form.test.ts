// The form of profiles and schedules: what it reads of the settings, and the least that it changes of them.
import { describe, expect, it } from 'vitest';
import {
  type Stored,
  endsNextDay,
  idOf,
  isIdle,
  joined,
  patchOf,
  profilesOf,
  schedulesOf,
} from './modes-form';

const stored: Stored = {
  camera: [{ id: 'door', motion: { enabled: false } }, { id: 'yard' }],
  profile: {
    away: { name: 'Away', cameras: { yard: { off: true, record: { mode: null } } } },
    home: { name: 'Home' },
  },
  schedule: [
    { days: ['mon'], from: '22:00', to: '06:00', profile: 'away', off: false },
    { days: [], from: '12:00', to: '24:00', profile: null, off: ['door'] },
  ],
};
const read = () => ({ profiles: profilesOf(stored), schedules: schedulesOf(stored) });

it('what is read and not changed changes nothing', () => {
  const { profiles, schedules } = read();
  expect(patchOf(stored, profiles, schedules)).toEqual({});
  expect(patchOf({}, [], [])).toEqual({});
});

describe('a change', () => {
  it('of a profile names that camera alone', () => {
    const { profiles, schedules } = read();
    profiles[0]!.cameras['door'] = 'motion';
    // One whose motion is not looked for has it looked for, or nothing would be recorded.
    const door = { off: null, record: { mode: 'motion' }, motion: { enabled: true } };
    expect(patchOf(stored, profiles, schedules)).toEqual({ profile: { away: { cameras: { door } } } });
    profiles[0]!.cameras = { yard: 'own' };
    profiles[0]!.name = 'Out';
    const patch = { profile: { away: { name: 'Out', cameras: { yard: null } } } };
    expect(patchOf(stored, profiles, schedules)).toEqual(patch);
  });

  it('adds and removes profiles', () => {
    const { profiles, schedules } = read();
    profiles.splice(1, 1, { id: 'night', name: 'Night', cameras: { yard: 'none' } });
    const yard = { off: null, record: { mode: 'off' }, motion: null };
    const night = { name: 'Night', cameras: { yard } };
    expect(patchOf(stored, profiles, schedules)).toEqual({ profile: { night, home: null } });
  });

  it('of a schedule says all of them, in their order', () => {
    const { profiles, schedules } = read();
    schedules.reverse();
    schedules[1]!.off = 'all';
    expect(patchOf(stored, profiles, schedules)).toEqual({
      schedule: [
        { days: [], from: '12:00', to: '24:00', profile: null, off: ['door'] },
        { days: ['mon'], from: '22:00', to: '06:00', profile: 'away', off: true },
      ],
    });
  });
});

it('schedules that do nothing, and those that go on into the next day, are known', () => {
  const [late, lunch] = schedulesOf(stored);
  expect([endsNextDay(late!), endsNextDay(lunch!)]).toEqual([true, false]);
  expect([isIdle(late!), isIdle(lunch!), isIdle({ ...lunch!, cameras: [] })]).toEqual([false, false, true]);
});

it('ids are made of names', () => {
  expect(idOf('Ferien zu Hause', [])).toBe('ferien-zu-hause');
  expect(idOf('Été !', ['e-te'])).toBe('ete');
  expect(idOf('夜', [])).toBe('profile');
  expect(idOf('Home', ['home', 'home-2'])).toBe('home-3');
});

describe('what two change at once', () => {
  const copy = (): Stored => structuredClone(stored);

  it('is joined where they changed different things', () => {
    const mine = read();
    mine.profiles[0]!.cameras['door'] = 'motion';
    mine.profiles[0]!.name = 'Out';
    const now = copy();
    now.profile!['away']!.cameras!['yard'] = { record: { mode: 'off' } };
    now.profile!['night'] = { name: 'Night' };
    now.schedule!.reverse();
    const both = joined(stored, mine, now);
    expect(both.theirs).toEqual({ profiles: {}, schedules: null });
    expect(both.profiles.find(({ id }) => id === 'away')).toEqual({
      id: 'away',
      name: 'Out',
      cameras: { yard: 'none', door: 'motion' },
    });
    expect(both.profiles.map(({ id }) => id)).toContain('night');
    // What is sent names what was changed here, and undoes nothing of the other's.
    const door = { off: null, record: { mode: 'motion' }, motion: { enabled: true } };
    expect(patchOf(now, both.profiles, both.schedules)).toEqual({
      profile: { away: { name: 'Out', cameras: { door } } },
    });
  });

  it('stays as it is here where both changed the same, with theirs beside it', () => {
    const mine = read();
    mine.profiles[0]!.name = 'Out';
    mine.profiles[0]!.cameras = { yard: 'continuous' };
    mine.profiles[1]!.name = 'At home';
    mine.schedules.pop();
    const now = copy();
    now.profile!['away'] = { name: 'Gone', cameras: { yard: { record: { mode: 'motion' } } } };
    delete now.profile!['home'];
    now.schedule!.reverse();
    const both = joined(stored, mine, now);
    expect(both.theirs.profiles).toEqual({
      away: { name: 'Gone', cameras: { yard: 'motion' } },
      home: null,
    });
    expect(both.theirs.schedules).toEqual(schedulesOf(now));
    expect(both.profiles).toEqual(mine.profiles);
    expect(both.schedules).toEqual(mine.schedules);
  });

  it('is theirs where nothing was changed here', () => {
    const now = copy();
    delete now.profile!['home'];
    now.schedule = [];
    const both = joined(stored, read(), now);
    expect(both).toEqual({
      profiles: profilesOf(now),
      schedules: [],
      theirs: { profiles: {}, schedules: null },
    });
  });
});
