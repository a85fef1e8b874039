// Zones, masks and privacy masks as they are drawn: corners in parts of the picture, 0 to 1, origin top left. Pure.

export type Corner = readonly [number, number];
export type Polygon = readonly Corner[];
/** Where motion counts; where it never does; what nobody sees. */
export const KINDS = ['zone', 'mask', 'privacy'] as const;
export type AreaKind = (typeof KINDS)[number];

export interface Area {
  kind: AreaKind;
  corners: Polygon;
}

/** More than these of a kind make nothing better. */
export const MOST_AREAS = 8;
/** As many as an area may have. */
export const MOST_CORNERS = 64;
/** How far an arrow key goes, in parts of the picture; with Shift. */
export const STEP = 0.01;
export const LEAP = 0.05;

/** Within the picture, in thousandths: what stands in the file reads short. */
const within = (n: number): number => Math.round(Math.min(1, Math.max(0, n)) * 1000) / 1000;
export const corner = (x: number, y: number): Corner => [within(x), within(y)];

/** Where an arrow key leads; null for other keys. */
export function stepped([x, y]: Corner, key: string, far: boolean): Corner | null {
  const by = far ? LEAP : STEP;
  const ways: Record<string, Corner> = {
    ArrowLeft: [x - by, y],
    ArrowRight: [x + by, y],
    ArrowUp: [x, y - by],
    ArrowDown: [x, y + by],
  };
  const to = ways[key];
  return to ? corner(...to) : null;
}

export const replaced = (corners: Polygon, at: number, by: Corner): Polygon =>
  corners.map((old, index) => (index === at ? by : old));

/** Without one corner; null where too few would be left. */
export const without = (corners: Polygon, at: number): Polygon | null =>
  corners.length > 3 ? corners.filter((_, index) => index !== at) : null;

/** In the middle of an edge, which begins at a corner. */
export function middle(corners: Polygon, from: number): Corner {
  const [[x1, y1], [x2, y2]] = [corners[from]!, corners[(from + 1) % corners.length]!];
  return corner((x1 + x2) / 2, (y1 + y2) / 2);
}

/** With one more corner in the middle of an edge; null where there are enough. */
export const divided = (corners: Polygon, from: number): Polygon | null =>
  corners.length < MOST_CORNERS
    ? [...corners.slice(0, from + 1), middle(corners, from), ...corners.slice(from + 1)]
    : null;

/** An area that somebody is drawing. */
export interface Drawing {
  kind: AreaKind;
  corners: Polygon;
  /** Where the keys' cross is. */
  cross: Corner;
}

export const started = (kind: AreaKind): Drawing => ({ kind, corners: [], cross: [0.5, 0.5] });

/** Sets a corner; at one that is there already, nothing. */
export function set(drawing: Drawing, at: Corner): Drawing {
  const isThere = drawing.corners.some(([x, y]) => x === at[0] && y === at[1]);
  return { ...drawing, cross: at, corners: isThere ? drawing.corners : [...drawing.corners, at] };
}

export const isWhole = (drawing: Drawing): boolean => drawing.corners.length >= 3;

/** All areas of the three settings in one list, and back. */
export function areasOf(zones: unknown, masks: unknown, privacy: unknown): Area[] {
  const of = (kind: AreaKind, all: unknown) =>
    (Array.isArray(all) ? (all as Polygon[]) : []).map((corners) => ({ kind, corners }));
  return [...of('zone', zones), ...of('mask', masks), ...of('privacy', privacy)];
}

export const polygonsOf = (areas: readonly Area[], kind: AreaKind): Polygon[] =>
  areas.filter((area) => area.kind === kind).map((area) => area.corners);

/** Adds one behind those of its kind, and says where it stands. */
export function added(areas: readonly Area[], area: Area): { areas: Area[]; at: number } {
  const last = KINDS.indexOf(area.kind);
  const at = areas.filter((other) => KINDS.indexOf(other.kind) <= last).length;
  return { areas: [...areas.slice(0, at), area, ...areas.slice(at)], at };
}

/** Whether there are as many of a kind as there may be. */
export const isFull = (areas: readonly Area[], kind: AreaKind): boolean =>
  areas.filter((area) => area.kind === kind).length >= MOST_AREAS;

/** Its number among those of its kind. */
export const numberOf = (areas: readonly Area[], index: number): number =>
  areas.slice(0, index + 1).filter((area) => area.kind === areas[index]?.kind).length;
