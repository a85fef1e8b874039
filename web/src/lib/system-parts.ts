// Which parts of System somebody sees, the line of state of each, and where its first fault is mended. Pure.
import { words } from './en-system';
import { bytes } from './format';
import { SYSTEM_PARTS, type SystemPart } from './routes';
import { DAY, duration } from './time';
import type { CameraInfo, Me, Permission, Status } from './types';

/** What is for administrators alone. */
const NEEDS: Partial<Record<SystemPart, Permission>> = { people: 'manage_people', log: 'manage_box' };

export function partsFor(may: (permission: Permission) => boolean): SystemPart[] {
  return SYSTEM_PARTS.filter((part) => {
    const needed = NEEDS[part];
    return !needed || may(needed);
  });
}

/** Whether somebody must do something about a camera. */
export function isFaulty({ health, recording }: CameraInfo): boolean {
  // One that is off is as somebody wants it, unless the box does not know.
  if (health.off) return health.off.by.kind === 'box';
  if (health.sound_problem || health.motion_problem || health.small_problem || health.rate_problem)
    return true;
  if (recording.state === 'paused' || (recording.state === 'recording' && recording.reason)) return true;
  // A start is short, unless it is known what it waits for.
  return health.state !== 'live' && !(health.state === 'starting' && health.trouble === null);
}

/** Whether what the recordings lie on is so. */
const isLike = (disk: Status['disk'], wear: Status['disk']['media'][number]['wear']): boolean =>
  disk.media.some((medium) => medium.wear === wear);

/** A task that ended without a reason has nothing more to do. */
export const isWaiting = (task: Status['tasks'][number]): boolean => !task.running && task.reason !== '';

/** The line below a part's name; `isBad` where somebody must look, `isBusy` where somebody should know. */
export interface PartLine {
  text: string;
  isBad: boolean;
  isBusy?: boolean;
}

const fine = (text: string): PartLine => ({ text, isBad: false });
const bad = (text: string): PartLine => ({ text, isBad: true });

/** Whether everything works, and the clock is what is worth knowing: it is marked alike wherever it is said. */
export const worksBut = ({ state, about }: Pick<Status, 'state' | 'about'>): boolean =>
  state === 'ok' && about?.part === 'clock';

/** Rounded as it is read: halves matter only where there is little. */
export const roundedDays = (days: number): string =>
  days < 10 ? String(Number(days.toFixed(1))) : String(Math.round(days));

/** What is known of a part; empty before the box answered. */
export function lineOf(part: SystemPart, status: Status | null, me: Me | null): PartLine {
  const { line } = words;
  if (part === 'device') return fine(me ? line.device(me.device_name, me.username) : '');
  if (part === 'connection') return fine(line.connection);
  if (part === 'log' && !status) return fine(line.log);
  if (!status) return fine('');
  switch (part) {
    case 'overview':
      if (status.state !== 'ok') return bad(line.overview.degraded);
      if (worksBut(status)) return { text: line.overview.clock, isBad: false, isBusy: true };
      return fine(status.about?.part === 'no_camera' ? line.noCameras : line.overview.ok);
    case 'cameras': {
      const n = status.cameras.length;
      const faulty = status.cameras.filter(isFaulty).length;
      if (n === 0) return fine(line.noCameras);
      if (faulty > 0) return bad(line.camerasBad(n, faulty));
      const off = status.cameras.filter(({ health }) => health.off).length;
      return fine(off === 0 ? line.cameras(n) : line.camerasOff(n, off));
    }
    case 'storage': {
      const { disk } = status;
      if (disk.problem || isLike(disk, 'failing') || isLike(disk, 'worn')) return bad(line.storageBad);
      const free = bytes(disk.free_bytes);
      const days = disk.days_at_this_rate;
      return fine(days === null ? line.storage(free) : line.storageDays(free, roundedDays(days)));
    }
    case 'copies': {
      const { stores, state, alarm } = status.copies;
      if (alarm) return bad(line.copiesAlarm);
      return fine(stores === 0 || state === null ? line.copies : line.copiesAre[state]);
    }
    case 'people':
      return fine(line.watching(status.webrtc_sessions + status.rtsp_readers));
    case 'box': {
      const running = status.uptime_s * 1000;
      // Whole days say enough, and do not tick.
      return fine(line.box(status.version, duration(running > DAY ? running - (running % DAY) : running)));
    }
    case 'log': {
      const waiting = status.tasks.filter(isWaiting).length;
      return fine(waiting === 0 ? line.log : line.logBad(waiting));
    }
  }
}

export interface Place {
  href: string;
  label: string;
}

/** Where what the sentence says is mended or looked at; null where nothing is to be done, or not by whoever looks. */
export function placeOf({ about, cameras }: Status, may: (permission: Permission) => boolean): Place | null {
  const { goTo } = words;
  const at = (part: SystemPart, label: string): Place | null =>
    partsFor(may).includes(part) ? { href: `/system/${part}`, label } : null;
  switch (about?.part) {
    case undefined:
      return null;
    case 'camera': {
      const camera = cameras.find(({ id }) => id === about.camera);
      return camera
        ? { href: `/system/cameras#camera-${camera.id}`, label: goTo.camera(camera.name) }
        : at('cameras', goTo.cameras);
    }
    case 'no_camera':
      return may('manage_box') ? { href: '/add-camera', label: goTo.add } : null;
    case 'storage':
      return at('storage', goTo.storage);
    case 'copies':
      return at('copies', goTo.copies);
    case 'task':
      return at('log', goTo.log) ?? at('box', goTo.box);
    case 'access':
      return at('people', goTo.people);
    case 'certificate':
    case 'clock':
      return at('box', goTo.box);
  }
}
