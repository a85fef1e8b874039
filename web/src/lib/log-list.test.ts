// The log in the page: that no line is missing between what is shown and what is new, and that what was cut off is asked for again.
import { expect, it } from 'vitest';
import { LogList, MOST_LINES } from './log-list.svelte';
import type { LogLine } from './types';

const PAGE = 100;
const line = (n: number): LogLine => ({
  n,
  at: '2026-05-01T12:00:00Z',
  level: 'info',
  camera: null,
  who: null,
  text: `line ${n}`,
});

/** A box that answers as the real one does. */
function box(count: number) {
  const all = Array.from({ length: count }, (_, at) => line(at + 1));
  const say = (more: number) =>
    all.push(...Array.from({ length: more }, (_, at) => line(all.length + at + 1)));
  const asked: unknown[] = [];
  const list = new LogList(async (range) => {
    asked.push(range);
    const { before = Infinity, after = 0 } = range;
    const fitting = all.filter(({ n }) => n < before && n > after).reverse();
    const lines = fitting.slice(0, PAGE);
    return { lines, next: fitting.length > PAGE ? (lines.at(-1)?.n ?? null) : null };
  });
  const shown = () => list.lines.map(({ n }) => n);
  return { list, say, asked, shown };
}
const down = (from: number, count: number) => Array.from({ length: count }, (_, at) => from - at);

it('what is new joins what is shown, however much it is', async () => {
  const { list, say, shown } = box(150);
  await list.restart();
  expect([shown(), list.next]).toEqual([down(150, 100), 51]);
  say(350);
  await list.newer();
  expect(shown()).toEqual(down(500, 450));
  await list.older();
  expect([shown(), list.next]).toEqual([down(500, 500), null]);
});

it('what was cut off is asked for again', async () => {
  const { list, say, shown } = box(10);
  await list.restart();
  say(MOST_LINES - 5);
  await list.newer();
  expect([list.lines.length, shown().at(-1), list.next]).toEqual([MOST_LINES, 6, 6]);
  await list.older();
  expect([shown().slice(-6), list.next]).toEqual([down(6, 6), null]);
});

it('more news than is kept do not hide that they do not join', async () => {
  const { list, say, shown } = box(10);
  await list.restart();
  say(3 * MOST_LINES);
  await list.newer();
  expect(shown()).toEqual(down(3 * MOST_LINES + 10, MOST_LINES));
  expect(list.next).toBe(shown().at(-1));
});

it('one question at a time, and none counts after another was begun', async () => {
  const { list, asked, shown } = box(300);
  await Promise.all([list.restart(), list.newer(), list.older()]);
  expect(asked).toEqual([{}]);
  await Promise.all([list.older(), list.newer(), list.older()]);
  expect([asked.length, shown()]).toEqual([2, down(300, 200)]);
  const late = list.older();
  await list.restart();
  await late;
  expect([shown(), list.next]).toEqual([down(300, 100), 201]);
});

it('a box that does not answer is asked again', async () => {
  let isDown = true;
  const list = new LogList(async () => {
    if (isDown) throw new Error('down');
    return { lines: [line(1)], next: null };
  });
  await list.restart();
  expect([list.isLoaded, list.error !== '', list.lines]).toEqual([true, true, []]);
  isDown = false;
  await list.newer();
  expect([list.error, list.lines.length]).toEqual(['', 1]);
});
