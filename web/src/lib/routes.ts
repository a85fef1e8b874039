// Which page an address means. Pure; router.svelte.ts goes there.
import { type EventsPlace, eventsPlace } from './event-address';

/** The parts of System, each at an address of its own below `/system`; the overview at `/system` itself. */
export const SYSTEM_PARTS = [
  'overview',
  'cameras',
  'storage',
  'copies',
  'people',
  'connection',
  'device',
  'box',
  'log',
] as const;
export type SystemPart = (typeof SYSTEM_PARTS)[number];

export type Route =
  | { page: 'live' | 'settings' | 'modes' | 'add' | 'pair' | 'login' | 'unknown' }
  | ({ page: 'events' } & EventsPlace)
  | { page: 'system'; part: SystemPart }
  | { page: 'cameraSettings'; camera: string }
  | { page: 'camera'; camera: string; atMs: number | null };

/** What of a location says which page shows. */
type Place = Pick<Location, 'pathname' | 'search' | 'hash'>;

/** A part of an address as it was before it was escaped; as it stands where it is no text. */
function unescaped(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const systemPath = (part: SystemPart): string => (part === 'overview' ? '/system' : `/system/${part}`);

function systemPart(name: string | undefined, hash: string): SystemPart | null {
  // Where the cameras' cards were before they had a page of their own.
  if (!name) return hash.startsWith('#camera-') ? 'cameras' : 'overview';
  return SYSTEM_PARTS.find((part) => part === name && part !== 'overview') ?? null;
}

/** The page of an address. */
export function routeOf(location: Place): Route {
  const [first = '', second, third, fourth] = location.pathname.split('/').filter(Boolean).map(unescaped);
  if (first === 'camera' && second && fourth === undefined) {
    if (third === 'settings') return { page: 'cameraSettings', camera: second };
    const at = Date.parse(new URLSearchParams(location.search).get('at') ?? '');
    if (third === undefined) return { page: 'camera', camera: second, atMs: Number.isNaN(at) ? null : at };
  }
  if (first === 'system' && third === undefined) {
    const part = systemPart(second, location.hash);
    if (part) return { page: 'system', part };
  }
  if (first === 'settings' && second === 'modes' && third === undefined) return { page: 'modes' };
  if (first === 'events' && third === undefined) {
    const place = eventsPlace(second, location.search);
    if (place) return { page: 'events', ...place };
  }
  if (second !== undefined) return { page: 'unknown' };
  if (first === 'add-camera') return { page: 'add' };
  if (first === 'settings' || first === 'pair' || first === 'login' || first === 'live')
    return { page: first };
  return { page: first === '' ? 'live' : 'unknown' };
}
