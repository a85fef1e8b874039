// Watches a camera over WHEP in headless Chromium and prints, as JSON, what came in that time: frames, freezes, sound. What is
// exact in time is measured here, on a machine that does nothing else, and not in the browser tests.
import { join, leave, received, withTab } from './whep.mjs';

const { PERCH_TEST_TOKEN: token = '', PERCH_TEST_SECONDS: seconds = '20' } = process.env;
await withTab(async (tab) => {
  await tab.evaluate(join, [token]);
  const before = await tab.evaluate(received);
  await tab.waitForTimeout(Number(seconds) * 1000);
  const after = await tab.evaluate(received);
  await tab.evaluate(leave, token);
  const during = Object.entries(after).map(([name, sum]) => {
    const added = sum - before[/** @type {keyof typeof before} */ (name)];
    return [name, Math.round(added * 100) / 100];
  });
  console.log(JSON.stringify({ seconds: Number(seconds), ...Object.fromEntries(during) }));
});
