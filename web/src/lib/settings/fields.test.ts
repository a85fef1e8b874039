// How settings stand in forms, and that every one has its place and its label.
import { describe, expect, it } from 'vitest';
import schema from '../../../dev/settings-schema.json';
import { words as t } from '../en-settings';
import type { Setting } from '../types';
import { rangeText, scaleOf, shown, told, understood } from './fields';
import { APART, BOX_GROUPS, BY_HAND, CAMERA_GROUPS, OF_MODES } from './groups';

const settings = schema.settings as Setting[];
const of = (key: string) => settings.find((setting) => setting.key === key)!;

describe('a number', () => {
  it.each([
    ['recording.min_free_bytes', 1073741824, '1', 'GiB', '2', 2147483648],
    ['recording.max_bytes', 0, '0', 'GB', '0,5', 500_000_000],
    ['access.session_idle_s', 1209600, '14', 'days', '0.5', 43200],
    ['access.otp_ttl_s', 300, '5', 'min', '10', 600],
    ['access.otp_ttl_s', 301, '301', 's', '30', 30],
    ['camera[].record.gap_s', 120, '120', 's', '2.5', 2.5],
    ['camera[].motion.min_area', 0.0010000000474974513, '0.1', '%', '0.2', 0.002],
    ['recording.max_days', 30, '30', 'days', '7', 7],
  ])('%s = %d reads %s %s', (key, value, text, unit, typed, meant) => {
    const scale = scaleOf(of(key), value);
    expect([shown(value, scale), scale.unit]).toEqual([text, unit]);
    expect(understood(of(key), typed, scale)).toEqual({ value: meant });
  });

  it('that makes no sense is refused in words', () => {
    const days = of('recording.max_days');
    const scale = scaleOf(days, 30);
    expect(understood(days, 'many', scale)).toEqual({ problem: t.notANumber });
    expect(understood(days, '1.5', scale)).toEqual({ problem: t.notWhole });
    expect(understood(days, '-1', scale)).toEqual({ problem: 'From 0 to 36500 days.' });
    const bytes = of('recording.max_bytes');
    expect(understood(bytes, '-1', scaleOf(bytes, 0))).toEqual({ problem: 'At least 0 GB.' });
    expect(understood(days, ' ', scale)).toEqual({ value: null });
  });

  it('has a range in its own unit', () => {
    const ttl = of('access.otp_ttl_s');
    expect(rangeText(ttl, scaleOf(ttl, 300))).toBe('From 30 s to 60 min.');
    expect(rangeText(of('recording.max_bytes'), scaleOf(of('recording.max_bytes'), 0))).toBe('');
  });
});

it('lists stand one a line', () => {
  const names = of('http.hostnames');
  const scale = scaleOf(names, []);
  expect(shown(['a.example', 'b.example'], scale)).toBe('a.example\nb.example');
  expect(understood(names, ' a.example\n\n b.example ', scale)).toEqual({
    value: ['a.example', 'b.example'],
  });
});

it('values are told to people', () => {
  const say = (key: string, value: unknown) => told(of(key), value, scaleOf(of(key), value));
  expect(say('camera[].record.mode', 'motion')).toBe('“Around motion”');
  expect(say('camera[].motion.enabled', false)).toBe('off');
  expect(say('camera[].motion.zones', [[], []])).toBe('2 areas');
  expect(say('update.url', null)).toBe('nothing');
  expect(say('recording.max_days', 30)).toBe('30 days');
});

it('every setting is in a form, apart, or only by hand, and has words', () => {
  const camera = [...Object.values(CAMERA_GROUPS).flat(), ...APART].map((key) => `camera[].${key}`);
  const placed = [...Object.values(BOX_GROUPS).flat(), ...camera, ...OF_MODES, ...BY_HAND];
  expect(placed.toSorted()).toEqual(settings.map((setting) => setting.key).toSorted());
  const apart: ReadonlySet<string> = new Set([...BY_HAND, ...OF_MODES, 'camera[].source']);
  const named = placed.filter((key) => !apart.has(key));
  expect(named.filter((key) => !t.labels[key])).toEqual([]);
  const words = settings.flatMap((setting) => setting.one_of ?? []);
  expect(words.filter((word) => !t.choices[word])).toEqual([]);
});
