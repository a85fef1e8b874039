// When a live picture comes over HTTPS, and as which stream.
import { describe, expect, it } from 'vitest';
import { FALLBACK_AFTER_MS, FallbackMachine, FallbackStream } from './live-fallback';

const missing = { isWanted: true, isDirect: false };

describe('the way of a live picture', () => {
  it('is HTTPS after five seconds without a direct one, and direct again as soon as that shows', () => {
    const machine = new FallbackMachine();
    machine.handle(missing, 1000);
    expect([machine.isOn, machine.dueMs]).toEqual([false, 1000 + FALLBACK_AFTER_MS]);
    machine.handle(missing, 5999);
    expect(machine.isOn).toBe(false);
    machine.handle(missing, 6000);
    expect([machine.isOn, machine.dueMs]).toEqual([true, null]);
    machine.handle(missing, 60_000);
    expect(machine.isOn).toBe(true);
    machine.handle({ isWanted: true, isDirect: true }, 61_000);
    expect(machine.isOn).toBe(false);
    // Lost again: five seconds once more.
    machine.handle(missing, 62_000);
    machine.handle(missing, 66_999);
    expect(machine.isOn).toBe(false);
    machine.handle(missing, 67_000);
    expect(machine.isOn).toBe(true);
  });

  it('is none while nobody looks', () => {
    const machine = new FallbackMachine();
    machine.handle(missing, 0);
    machine.handle({ isWanted: false, isDirect: false }, 4000);
    machine.handle(missing, 6000);
    expect([machine.isOn, machine.dueMs]).toEqual([false, 11_000]);
  });
});

describe('the stream over HTTPS', () => {
  it('is the small one once the large one stalls again and again', () => {
    const auto = new FallbackStream('auto');
    expect([0, 19_000, 21_000].map((ms) => auto.stalled(ms))).toEqual([false, false, false]);
    expect(auto.stream).toBe('auto');
    expect([auto.stalled(22_000), auto.stream]).toEqual([true, 'sub']);
    expect(auto.stalled(22_001)).toBe(false);
  });

  it('is the one that was chosen', () => {
    const large = new FallbackStream('main');
    for (let n = 0; n < 9; n += 1) expect(large.stalled(n)).toBe(false);
    expect(large.stream).toBe('main');
  });
});
