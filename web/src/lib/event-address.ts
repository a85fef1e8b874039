// What of the events page stands in its address, so that it can be sent, reloaded and gone back to: the filter, and the event that is open. Pure.
import { dayKey, fromDayKey } from './time';
import type { EventKind } from './types';

export interface EventFilter {
  camera: string;
  kind: EventKind | '';
  /** Midnight of a day in the viewer's zone. */
  dayMs: number | null;
  unseen: boolean;
}

export interface EventsPlace {
  /** The event that is open. */
  event: number | null;
  filter: EventFilter;
}

export const NO_FILTER: EventFilter = { camera: '', kind: '', dayMs: null, unseen: false };

export const isFiltered = ({ camera, kind, dayMs, unseen }: EventFilter): boolean =>
  camera !== '' || kind !== '' || dayMs !== null || unseen;

/** `name` is what stands behind `/events/`; null where it names no event. */
export function eventsPlace(name: string | undefined, search: string): EventsPlace | null {
  const event = name === undefined ? null : Number(name);
  if (event !== null && (!/^\d+$/.test(name!) || !Number.isSafeInteger(event))) return null;
  const query = new URLSearchParams(search);
  const filter = {
    camera: query.get('camera') ?? '',
    // The box says which kinds there are.
    kind: (query.get('kind') ?? '') as EventKind | '',
    dayMs: fromDayKey(query.get('day') ?? ''),
    unseen: query.get('show') === 'unseen',
  };
  return { event, filter };
}

export function eventsPath({ event, filter }: EventsPlace): string {
  const query = new URLSearchParams();
  if (filter.camera) query.set('camera', filter.camera);
  if (filter.kind) query.set('kind', filter.kind);
  if (filter.dayMs !== null) query.set('day', dayKey(filter.dayMs));
  if (filter.unseen) query.set('show', 'unseen');
  const search = query.toString();
  return `/events${event === null ? '' : `/${event}`}${search && `?${search}`}`;
}
