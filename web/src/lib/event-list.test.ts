// Bursts: which events stand together.
import { describe, expect, it } from 'vitest';
import { bursts } from './event-list.svelte';
import type { PerchEvent } from './types';

const MIN = 60_000;
const event = (camera: string, ms: number): PerchEvent => ({
  id: ms * 1000,
  camera,
  kind: 'motion',
  start: new Date(ms).toISOString(),
  end: new Date(ms + 8000).toISOString(),
  score: 0.1,
  cause: 'motion',
  boxes: [],
  pinned: false,
  has_thumbnail: true,
});

describe('bursts', () => {
  it('joins events of one camera less than five minutes apart, others between notwithstanding', () => {
    const list = [event('a', 20 * MIN), event('b', 19 * MIN), event('a', 17 * MIN), event('a', 11 * MIN)];
    expect(bursts(list).map((burst) => [burst.camera, burst.events.length])).toEqual([
      ['a', 2],
      ['b', 1],
      ['a', 1],
    ]);
  });

  it('is empty for nothing', () => {
    expect(bursts([])).toEqual([]);
  });
});
