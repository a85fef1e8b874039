// Profiles and schedules as the form has them, and the merge patch that makes the settings so. Pure.

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type How = 'own' | 'continuous' | 'motion' | 'none' | 'off';

export interface ProfileDraft {
  id: string;
  name: string;
  /** By camera; one that is not here is as its own settings say. */
  cameras: Record<string, How>;
}

export interface ScheduleDraft {
  /** Tells drafts apart while they move. */
  key: number;
  days: string[];
  from: string;
  to: string;
  profile: string;
  off: 'none' | 'all' | 'some';
  cameras: string[];
}

interface StoredCamera {
  off?: boolean;
  record?: { mode?: string | null };
  motion?: { enabled?: boolean | null };
}

interface StoredSchedule {
  days?: string[];
  from?: string;
  to?: string;
  profile?: string | null;
  off?: boolean | string[];
}

/** What of the settings this is about. */
export interface Stored {
  profile?: Record<string, { name?: string; cameras?: Record<string, StoredCamera> }>;
  schedule?: StoredSchedule[];
  camera?: { id: string; name?: string; motion?: { enabled?: boolean } }[];
}

function howOf(camera: StoredCamera): How {
  if (camera.off) return 'off';
  const mode = camera.record?.mode ?? '';
  return mode === 'continuous' || mode === 'motion' ? mode : mode === 'off' ? 'none' : 'own';
}

export function profilesOf(stored: Stored): ProfileDraft[] {
  return Object.entries(stored.profile ?? {}).map(([id, profile]) => {
    const hows = Object.entries(profile.cameras ?? {}).map(([camera, is]): [string, How] => [
      camera,
      howOf(is),
    ]);
    return { id, name: profile.name ?? id, cameras: Object.fromEntries(hows) };
  });
}

export function schedulesOf(stored: Stored): ScheduleDraft[] {
  return (stored.schedule ?? []).map((schedule, key) => {
    const { off } = schedule;
    const cameras = Array.isArray(off) ? off : [];
    return {
      key,
      days: schedule.days?.length ? schedule.days : [...DAYS],
      from: schedule.from ?? '',
      // A field for times knows no 24:00.
      to: schedule.to === '24:00' ? '00:00' : (schedule.to ?? ''),
      profile: schedule.profile ?? '',
      off: off === true ? 'all' : cameras.length > 0 ? 'some' : 'none',
      cameras,
    };
  });
}

/** An id made of a name: "Ferien zu Hause" is "ferien-zu-hause". */
export function idOf(name: string, taken: readonly string[]): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 28);
  const base = plain || 'profile';
  for (let n = 1; ; n += 1) {
    const id = n === 1 ? base : `${base}-${n}`;
    if (!taken.includes(id)) return id;
  }
}

function cameraPatch(how: How, looksForMotion: boolean): Record<string, unknown> | null {
  switch (how) {
    case 'own':
      return null;
    case 'off':
      return { off: true, record: null, motion: null };
    case 'none':
      return { off: null, record: { mode: 'off' }, motion: null };
    case 'continuous':
      return { off: null, record: { mode: 'continuous' }, motion: null };
    case 'motion':
      return { off: null, record: { mode: 'motion' }, motion: looksForMotion ? null : { enabled: true } };
  }
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What to change of the settings; only what differs is in it. */
export function patchOf(
  stored: Stored,
  profiles: readonly ProfileDraft[],
  schedules: readonly ScheduleDraft[],
): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  const before = new Map(profilesOf(stored).map((profile) => [profile.id, profile]));
  const changed: Record<string, unknown> = {};
  const motion = new Map((stored.camera ?? []).map((camera) => [camera.id, camera.motion?.enabled ?? true]));
  for (const profile of profiles) {
    const was = before.get(profile.id);
    before.delete(profile.id);
    const cameras: Record<string, unknown> = {};
    for (const id of new Set([...Object.keys(was?.cameras ?? {}), ...Object.keys(profile.cameras)])) {
      const how = profile.cameras[id] ?? 'own';
      if (how !== (was?.cameras[id] ?? 'own')) cameras[id] = cameraPatch(how, motion.get(id) ?? true);
    }
    const more = Object.keys(cameras).length > 0 ? { cameras } : {};
    if (!was) changed[profile.id] = { name: profile.name, ...more };
    else if (was.name !== profile.name || 'cameras' in more) {
      changed[profile.id] = { ...(was.name === profile.name ? {} : { name: profile.name }), ...more };
    }
  }
  for (const id of before.keys()) changed[id] = null;
  if (Object.keys(changed).length > 0) patch['profile'] = changed;
  const list = schedules.map(scheduleOf);
  if (!same(list, schedulesOf(stored).map(scheduleOf))) patch['schedule'] = list;
  return patch;
}

function scheduleOf(draft: ScheduleDraft): StoredSchedule {
  const off = draft.off === 'all' ? true : draft.off === 'some' ? draft.cameras : false;
  return {
    days: draft.days.length === DAYS.length ? [] : DAYS.filter((day) => draft.days.includes(day)),
    from: draft.from,
    to: draft.to === '00:00' ? '24:00' : draft.to,
    profile: draft.profile || null,
    off,
  };
}

/** Whether it goes on into the next day. */
export const endsNextDay = (draft: ScheduleDraft): boolean =>
  draft.to !== '00:00' && draft.to !== '' && draft.to <= draft.from;

/** A whole day is written 00:00 to 00:00; no other schedule ends when it begins. */
export const isEmptySpan = (draft: ScheduleDraft): boolean =>
  draft.from === draft.to && draft.from !== '00:00';

/** Whether it does nothing. */
export const isIdle = (draft: ScheduleDraft): boolean =>
  draft.profile === '' && (draft.off === 'none' || (draft.off === 'some' && draft.cameras.length === 0));

/** What somebody else made of a profile that was changed here, too: only what differs. */
export interface ProfileChange {
  name?: string;
  cameras: Record<string, How>;
}

/** What somebody else made of what was changed here, too. */
export interface Theirs {
  /** By profile; null where they removed it. */
  profiles: Record<string, ProfileChange | null>;
  /** Null where they did not change them. */
  schedules: ScheduleDraft[] | null;
}

export const NO_THEIRS: Theirs = { profiles: {}, schedules: null };

export interface Drafts {
  profiles: ProfileDraft[];
  schedules: ScheduleDraft[];
}

const sameSchedules = (a: readonly ScheduleDraft[], b: readonly ScheduleDraft[]): boolean =>
  same(a.map(scheduleOf), b.map(scheduleOf));

/** Of one thing that two changed: what is kept here, and what the other made of it where that is something else. */
function kept<T>(before: T, mine: T, theirs: T): { is: T; theirs?: T } {
  if (mine === before || mine === theirs) return { is: theirs };
  return theirs === before ? { is: mine } : { is: mine, theirs };
}

function joinedProfile(before: ProfileDraft | undefined, mine: ProfileDraft, now: ProfileDraft) {
  const change: ProfileChange = { cameras: {} };
  const name = kept(before?.name, mine.name, now.name);
  if (name.theirs !== undefined) change.name = name.theirs;
  const cameras: Record<string, How> = {};
  const all = [before, mine, now].flatMap((profile) => Object.keys(profile?.cameras ?? {}));
  for (const id of new Set(all)) {
    const of = (profile: ProfileDraft | undefined): How => profile?.cameras[id] ?? 'own';
    const how = kept(of(before), of(mine), of(now));
    if (how.is !== 'own') cameras[id] = how.is;
    if (how.theirs !== undefined) change.cameras[id] = how.theirs;
  }
  const differs = change.name !== undefined || Object.keys(change.cameras).length > 0;
  return {
    profile: { id: now.id, name: name.is ?? now.name, cameras },
    change: differs ? change : undefined,
  };
}

/** What was changed here since `before`, laid over what somebody else made of it meanwhile; what both changed stays as it is here. */
export function joined(before: Stored, mine: Drafts, now: Stored): Drafts & { theirs: Theirs } {
  const byId = (profiles: readonly ProfileDraft[]) => new Map(profiles.map((one) => [one.id, one]));
  const [was, ours, theirs] = [byId(profilesOf(before)), byId(mine.profiles), byId(profilesOf(now))];
  const profiles: ProfileDraft[] = [];
  const found: Theirs = { profiles: {}, schedules: null };
  for (const id of new Set([...theirs.keys(), ...ours.keys()])) {
    const [b, m, t] = [was.get(id), ours.get(id), theirs.get(id)];
    if (m && t) {
      const { profile, change } = joinedProfile(b, m, t);
      profiles.push(profile);
      if (change) found.profiles[id] = change;
    } else if (t) {
      // One that was removed here and changed there is there again: it is not what was removed.
      if (!b || !same(b, t)) profiles.push(t);
    } else if (m && (!b || !same(b, m))) {
      profiles.push(m);
      if (b) found.profiles[id] = null;
    }
  }
  const [base, newer] = [schedulesOf(before), schedulesOf(now)];
  if (sameSchedules(mine.schedules, base)) return { profiles, schedules: newer, theirs: found };
  if (!sameSchedules(newer, base) && !sameSchedules(newer, mine.schedules)) found.schedules = newer;
  return { profiles, schedules: mine.schedules, theirs: found };
}
