// Zones and masks while they are drawn, and what a change does.
import { describe, expect, it } from 'vitest';
import {
  MOST_CORNERS,
  added,
  areasOf,
  corner,
  divided,
  isFull,
  isWhole,
  numberOf,
  polygonsOf,
  replaced,
  set,
  started,
  stepped,
  without,
  type Polygon,
} from './areas';
import { diffLines, effectWords } from './diff';

const triangle: Polygon = [
  [0, 0],
  [1, 0],
  [0.5, 1],
];

describe('corners', () => {
  it('stay within the picture and read short', () => {
    expect(corner(-0.2, 1.3)).toEqual([0, 1]);
    expect(corner(1 / 3, 0.12345)).toEqual([0.333, 0.123]);
  });

  it('go by arrow keys, further with Shift', () => {
    expect(stepped([0.5, 0.5], 'ArrowLeft', false)).toEqual([0.49, 0.5]);
    expect(stepped([0.5, 0.98], 'ArrowDown', true)).toEqual([0.5, 1]);
    expect(stepped([0.5, 0.5], 'Enter', false)).toBeNull();
  });

  it('come between two others, also between the last and the first', () => {
    expect(divided(triangle, 0)).toEqual([
      [0, 0],
      [0.5, 0],
      [1, 0],
      [0.5, 1],
    ]);
    expect(divided(triangle, 2)?.[3]).toEqual([0.25, 0.5]);
    expect(divided(Array<Polygon[number]>(MOST_CORNERS).fill([0, 0]), 0)).toBeNull();
  });

  it('are moved and removed, but three stay', () => {
    expect(replaced(triangle, 1, [0.9, 0.1])[1]).toEqual([0.9, 0.1]);
    expect(without(triangle, 0)).toBeNull();
    expect(without([...triangle, [0, 1]], 0)).toHaveLength(3);
  });
});

it('a drawing is whole with three corners, and none is set twice', () => {
  let drawing = started('mask');
  for (const at of [corner(0, 0), corner(0, 0), corner(1, 0)]) drawing = set(drawing, at);
  expect([drawing.corners.length, isWhole(drawing), drawing.cross]).toEqual([2, false, [1, 0]]);
  expect(isWhole(set(drawing, corner(0.5, 1)))).toBe(true);
});

it('areas of all kinds come from three settings and go back', () => {
  const areas = areasOf([triangle, triangle], [triangle], [triangle]);
  expect(areas.map((area, index) => `${area.kind} ${numberOf(areas, index)}`)).toEqual([
    'zone 1',
    'zone 2',
    'mask 1',
    'privacy 1',
  ]);
  expect([polygonsOf(areas, 'zone').length, polygonsOf(areas, 'mask').length]).toEqual([2, 1]);
  expect(areasOf(null, [], undefined)).toEqual([]);
  const more = added(areas, { kind: 'mask', corners: triangle });
  expect([more.at, more.areas.length, more.areas[3]?.kind, more.areas[4]?.kind]).toEqual([
    3,
    5,
    'mask',
    'privacy',
  ]);
  expect(added([], { kind: 'privacy', corners: triangle }).at).toBe(0);
  expect([isFull(areas, 'zone'), isFull(Array(8).fill(areas[0]), 'zone')]).toEqual([false, true]);
});

it('a diff reads as lines that come, go and stay', () => {
  const diff =
    '--- a\n+++ b\n@@ -1,2 +1,2 @@\n [box]\n-name = "A"\n+name = "B"\n@@ -9 +9 @@\n+++x\n\\ No newline\n';
  expect(diffLines(diff).map(({ kind, text }) => `${kind} ${text}`)).toEqual([
    'stays [box]',
    'goes name = "A"',
    'comes name = "B"',
    'gap ',
    'comes ++x',
  ]);
  expect(diffLines('')).toEqual([]);
});

it('effects name cameras as people do', () => {
  const nameOf = (id: string) => ({ 'front-door': 'Entrance' })[id];
  const say = (effect: string) => effectWords(effect, nameOf);
  expect(say('front-door: motion is learnt anew')).toBe('Entrance: motion is learnt anew.');
  expect(say('yard is added')).toBe('Yard is added.');
  expect(say('the cameras are listed in another order')).toBe('The cameras are listed in another order.');
});
