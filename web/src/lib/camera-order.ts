// The order of the cameras as somebody wants it: those that were moved, then the others as the box lists them; and their favourites. Pure.
import type { CameraView } from './types';

interface Named {
  id: string;
}

/** The list in the wanted order; what is not in it comes behind, as it was. */
export function inOrder<T extends Named>(list: readonly T[], order: readonly string[]): T[] {
  const place = new Map(order.map((id, i) => [id, i]));
  const placeOf = (camera: T) => place.get(camera.id) ?? order.length;
  return [...list].sort((a, b) => placeOf(a) - placeOf(b));
}

/** The rooms that cameras are in, each once, in the order of the cameras. */
export function roomsOf(list: readonly { room: string }[]): string[] {
  return [...new Set(list.map(({ room }) => room.trim()).filter(Boolean))];
}

/** Those of one room; all where it is none of theirs. */
export function inRoom<T extends { room: string }>(list: readonly T[], room: string): T[] {
  const there = list.filter((camera) => room !== '' && camera.room.trim() === room);
  return there.length > 0 ? there : [...list];
}

/** The order after `id` was put at `to`; one that is not there changes nothing. */
export function moved(ids: readonly string[], id: string, to: number): string[] {
  if (!ids.includes(id)) return [...ids];
  const rest = ids.filter((other) => other !== id);
  const at = Math.max(0, Math.min(to, rest.length));
  return [...rest.slice(0, at), id, ...rest.slice(at)];
}

/** What is kept after `id` was marked, or is no favourite any more: one that is marked goes behind the favourites that lead. */
export function marked(view: CameraView, ids: readonly string[], id: string): CameraView {
  const { favourites } = view;
  if (favourites.includes(id)) return { ...view, favourites: favourites.filter((other) => other !== id) };
  const leading = ids.findIndex((other) => !favourites.includes(other));
  const first = leading < 0 ? ids.length : leading;
  // One that leads already stays where it is.
  const order = ids.indexOf(id) <= first ? view.order : moved(ids, id, first);
  return { order, favourites: [...favourites, id] };
}

/** From so many cameras on, favourites can be shown alone. */
export const MANY_CAMERAS = 5;

/** Whether there is something to choose between: many cameras, of which some are favourites, and some not. */
export function hasFavourites(list: readonly Named[], favourites: readonly string[]): boolean {
  const marked = list.filter(({ id }) => favourites.includes(id)).length;
  return list.length >= MANY_CAMERAS && marked > 0 && marked < list.length;
}
