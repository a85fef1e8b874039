// Trying again by oneself.
import { expect, it } from 'vitest';
import { Retry } from './retry';
import { ManualClock } from './testing/manual-clock';

function setUp() {
  const clock = new ManualClock();
  const seen = { attempts: 0, dueMs: null as number | null };
  const retry = new Retry({
    clock,
    random: () => 0.5,
    attempt: () => (seen.attempts += 1),
    onDue: (dueMs) => (seen.dueMs = dueMs),
  });
  return { clock, retry, seen };
}

it('is done ever more slowly, and says when', async () => {
  const { clock, retry, seen } = setUp();
  for (const [n, waitMs] of [500, 1000, 2000, 4000, 5000, 5000].entries()) {
    retry.failed();
    expect(seen.dueMs).toBe(clock.wallMs() + waitMs);
    await clock.advance(waitMs - 1);
    expect(seen.attempts).toBe(n);
    await clock.advance(1);
    expect([seen.attempts, seen.dueMs]).toEqual([n + 1, null]);
  }
  retry.worked();
  retry.failed();
  await clock.advance(500);
  expect(seen.attempts).toBe(7);
});

it('is done at once when asked, but not beside an attempt that is being made', async () => {
  const { clock, retry, seen } = setUp();
  retry.now();
  expect(seen.attempts).toBe(0);
  retry.failed();
  retry.failed();
  retry.now();
  expect([seen.attempts, seen.dueMs, clock.waiting]).toEqual([1, null, 0]);
  retry.failed();
  await clock.advance(500);
  expect(seen.attempts).toBe(2);
});

it('ends with a stop', async () => {
  const { clock, retry, seen } = setUp();
  retry.failed();
  retry.stop();
  await clock.advance(60_000);
  expect([seen.attempts, seen.dueMs, clock.waiting]).toEqual([0, null, 0]);
});
