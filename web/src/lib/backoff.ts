// How long to wait before trying again: longer each time, a little different for each viewer, never for ever.

const STEPS_MS = [500, 1000, 2000, 4000, 8000, 15_000];

/** Milliseconds before the attempt after `failures` (1, 2, …) in a row; `random` is 0..1 and makes it 80 to 120 %. */
export function backoffMs(failures: number, random: number): number {
  const step = STEPS_MS[Math.min(failures, STEPS_MS.length) - 1] ?? STEPS_MS[0]!;
  return step * (0.8 + random * 0.4);
}
