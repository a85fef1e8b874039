// The mock box's profiles, and what is switched off. Never part of a build.
import { iso } from './fake-data.mjs';

const HOUR = 3600e3;
const off = (by) => ({ by, since: iso(Date.now() - 2 * HOUR), until: null });
const anna = { kind: 'person', name: 'anna' };

/** The cameras with those that are off, where the scenario says so. */
export const withOff = (cameras, scenario) =>
  cameras.map((camera) => {
    const night = { kind: 'schedule', name: '22:00 to 06:00' };
    const is = { front: off(anna), hall: { ...off(night), until: iso(Date.now() + HOUR) } }[camera.id];
    if (!scenario.off || !is) return camera;
    const health = { ...camera.health, state: 'off', reason: 'switched off', since: is.since, off: is };
    return { ...camera, health, recording: { state: 'off', reason: '' } };
  });

export const modes = (cameras, scenario) => ({
  profiles: scenario.off
    ? [
        { id: 'away', name: 'Away' },
        { id: 'home', name: 'Home' },
        { id: 'night', name: 'Night' },
      ]
    : [],
  profile: scenario.off
    ? {
        id: 'home',
        name: 'Home',
        by: { kind: 'schedule', name: '06:00 to 22:00' },
        since: iso(Date.now() - HOUR),
      }
    : null,
  whole: null,
  off: withOff(cameras, scenario)
    .filter((camera) => camera.health.off)
    .map((camera) => ({ camera: camera.id, ...camera.health.off })),
  next_change: null,
  time_zone: 'Europe/Zurich',
});

/** Profiles and schedules of the settings, where the scenario has some. */
export const settings = {
  profile: {
    away: { name: 'Away', cameras: { hall: { off: true }, garden: { record: { mode: 'motion' } } } },
    home: { name: 'Home' },
    night: { name: 'Night', cameras: { garage: { record: { mode: 'off' } } } },
  },
  schedule: [
    { days: [], from: '22:00', to: '06:00', profile: 'night', off: ['hall'] },
    { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '08:00', to: '17:30', profile: 'away', off: false },
  ],
};
