// What a camera itself can be set to: groups, and values as people read them.
import { expect, test } from 'vitest';
import type { PictureControl } from '../types';
import { grouped, told, usable } from './controls';

const control = (more: Partial<PictureControl>): PictureControl => ({
  name: 'brightness',
  label: 'Brightness',
  group: 'colour',
  kind: 'range',
  default: null,
  value: null,
  is_active: true,
  ...more,
});

test('groups keep the order in which the box lists them', () => {
  const all = [
    control({ name: 'infrared_cut', group: 'infrared' }),
    control({ name: 'a' }),
    control({ name: 'b' }),
  ];
  expect(grouped(all).map(([group, list]) => `${group} ${list.map((one) => one.name).join()}`)).toEqual([
    'infrared infrared_cut',
    'colour a,b',
  ]);
});

test('values are told with their unit and in the words of a menu', () => {
  expect(told(control({ unit: 'us' }), 2500)).toBe('2500\u00a0µs');
  expect(told(control({}), -0.30000000000000004)).toBe('−0.3');
  expect(told(control({ kind: 'switch' }), true)).toBe('on');
  expect(told(control({ kind: 'menu', choices: [{ value: 'ON', label: 'Day' }] }), 'ON')).toBe('Day');
  expect(told(control({ kind: 'menu', choices: [] }), 'X')).toBe('X');
  expect(told(control({}), null)).toBe('as the camera likes');
  expect(usable(0.1 + 0.2)).toBe(0.3);
});
