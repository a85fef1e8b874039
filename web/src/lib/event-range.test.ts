// What of a recording belongs to an event, before its end and after.
import { expect, it } from 'vitest';
import { eventRange } from './event-range';

const at = (s: number) => new Date(s * 1000).toISOString();

it.each([
  ['a whole one', at(100), at(110), 95, 112],
  ['one that goes on, until now', at(100), null, 95, 200],
  ['one that has only begun', at(200), null, 195, 201],
])('%s', (_, start, end, fromS, toS) => {
  expect(eventRange({ start, end }, 200_000)).toEqual({ fromMs: fromS * 1000, toMs: toS * 1000 });
});
