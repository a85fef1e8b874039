// Joins a camera over WHEP many times in headless Chromium and prints, as JSON, the time from POST to the first decoded frame.
import { join, leave, withTab } from './whep.mjs';

const { PERCH_TEST_TOKEN: token = '', PERCH_TEST_ROUNDS: rounds = '30' } = process.env;
/** @type {number[]} */
const times = [];
await withTab(async (tab) => {
  for (let i = 0; i < Number(rounds); i++) {
    times.push(await tab.evaluate(join, [token]));
    await tab.evaluate(leave, token);
    // Neither in step with the one-second GOP nor with the keyframe gate.
    await tab.waitForTimeout(1100 + Math.random() * 900);
  }
});
times.sort((a, b) => a - b);
const at = (/** @type {number} */ share) =>
  Math.round(times[Math.min(times.length - 1, Math.ceil(share * times.length) - 1)] ?? NaN);
console.log(JSON.stringify({ n: times.length, p50: at(0.5), p95: at(0.95), max: at(1) }));
