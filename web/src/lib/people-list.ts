// People with their devices, as the page lists them; and what an account or a device may do, in words. Pure.
import { words as w } from './en-people';
import { fieldTime, fromFieldTime, onDay, toMs } from './time';
import type { Device, Role, User } from './types';

export interface Person {
  user: User;
  devices: Device[];
  isYou: boolean;
}

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** Whoever looks comes first, then everybody by name; devices as the box lists them, this one first. */
export function personsOf(users: User[], devices: Device[], own: string | null): Person[] {
  const person = (user: User): Person => ({
    user,
    devices: first(devices.filter((device) => device.username && sameName(device.username, user.name))),
    isYou: own !== null && sameName(own, user.name),
  });
  return users
    .map(person)
    .sort(
      (a, b) =>
        Number(b.isYou) - Number(a.isYou) ||
        a.user.name.localeCompare(b.user.name, undefined, { numeric: true }),
    );
}

/** Devices of no account, or of one that could not be read. */
export function loneDevices(users: User[], devices: Device[]): Device[] {
  const isKnown = (name: string) => users.some((user) => sameName(user.name, name));
  return first(devices.filter(({ username }) => !username || !isKnown(username)));
}

const first = (devices: Device[]): Device[] => [
  ...devices.filter((device) => device.current),
  ...devices.filter((device) => !device.current),
];

/** What somebody was given. */
export interface Given {
  role: Role;
  cameras?: string[];
  expires_at?: string;
  live_only?: boolean;
}

/** "Viewer, Front door and Yard, live only, until tomorrow 18:00". */
export function inWords(given: Given, camera: (id: string) => string, nowMs: number): string {
  if (given.role === 'admin') return w.role.admin;
  const cameras = given.cameras ? given.cameras.map(camera).join(', ') : w.access.allCameras;
  const end = given.expires_at ? toMs(given.expires_at) : null;
  const ends = end === null ? '' : (isOver(given, nowMs) ? w.access.ended : w.access.ends)(onDay(end, nowMs));
  return [w.role.viewer, cameras, given.live_only ? w.access.live : '', ends].filter(Boolean).join(', ');
}

export const isOver = (given: Given, nowMs: number): boolean =>
  given.expires_at !== undefined && toMs(given.expires_at) <= nowMs;

/** What a form about somebody's access holds. */
export interface Access {
  role: Role;
  /** Whether all cameras are meant. */
  all: boolean;
  cameras: string[];
  liveOnly: boolean;
  /** As a field for date and time writes it, in the viewer's zone; empty: never. */
  until: string;
}

export const wholeAccess = (): Access => ({
  role: 'viewer',
  all: true,
  cameras: [],
  liveOnly: false,
  until: '',
});

export function accessOf(given: Given): Access {
  return {
    role: given.role,
    all: given.cameras === undefined,
    cameras: given.cameras ?? [],
    liveOnly: given.live_only ?? false,
    until: given.expires_at ? fieldTime(toMs(given.expires_at)) : '',
  };
}

/** What is wrong with it, in words; empty: nothing. */
export function problemOf(access: Access, nowMs: number): string {
  if (access.role === 'admin') return '';
  if (!access.all && access.cameras.length === 0) return w.access.none;
  if (access.until && !((fromFieldTime(access.until) ?? 0) > nowMs)) return w.access.past;
  return '';
}

/** The end as the box is told it. */
const endOf = ({ until }: Access): string | null => {
  const ms = fromFieldTime(until);
  return ms === null ? null : new Date(ms).toISOString();
};

/** For somebody new: what is not limited is left out. */
export function toGive(access: Access): Given {
  if (access.role === 'admin') return { role: 'admin' };
  const end = endOf(access);
  return {
    role: access.role,
    ...(access.all ? {} : { cameras: access.cameras }),
    ...(access.liveOnly ? { live_only: true } : {}),
    ...(end ? { expires_at: end } : {}),
  };
}

export interface AccessChange {
  role?: Role;
  cameras?: string[] | null;
  expires_at?: string | null;
  live_only?: boolean;
}

/** What differs from before, and that alone: what somebody else changes meanwhile stays. */
export function changeOf(before: Access, after: Access): AccessChange {
  const change: AccessChange = {};
  if (after.role !== before.role) change.role = after.role;
  if (after.role === 'admin') return change;
  const cameras = (access: Access) => (access.all ? null : [...access.cameras].sort());
  if (JSON.stringify(cameras(after)) !== JSON.stringify(cameras(before))) change.cameras = cameras(after);
  if (after.until !== before.until) change.expires_at = endOf(after);
  if (after.liveOnly !== before.liveOnly) change.live_only = after.liveOnly;
  return change;
}
