// How old pictures are when headless Chromium shows them: reads the time that each carries (tests/bench/glass.rs) from the decoded frame.
// Prints JSON: milliseconds from the camera to the screen, by WebRTC or, with PERCH_TEST_WAY=hls, by low-latency HLS.
import { readFileSync } from 'node:fs';
import { join as path } from 'node:path';
import { join, leave, withTab } from './whep.mjs';

const {
  PERCH_TEST_TOKEN: token = '',
  PERCH_TEST_WAY: way = 'webrtc',
  PERCH_TEST_SECONDS: seconds = '20',
} = process.env;
const HLS = path(import.meta.dirname, '../../web/node_modules/hls.js/dist/hls.light.min.js');
/** Until a player has found its pace. */
const SETTLE_MS = way === 'hls' ? 8000 : 3000;

/** Plays the live playlist with hls.js. */
async function playHls(/** @type {string} */ token) {
  const Hls = Reflect.get(window, 'Hls');
  const video = document.createElement('video');
  video.muted = true;
  const hls = new Hls({
    lowLatencyMode: true,
    xhrSetup: (/** @type {XMLHttpRequest} */ xhr) => xhr.setRequestHeader('authorization', `Bearer ${token}`),
  });
  hls.loadSource('/api/v1/cameras/cam/live.m3u8');
  hls.attachMedia(video);
  await video.play();
  Object.assign(window, { joined: { video } });
}

/** The delays of the pictures shown in so many seconds, and how long the browser itself stood still at most meanwhile. */
async function delays(/** @type {number} */ seconds) {
  /** @type {{ video: HTMLVideoElement }} */
  const { video } = Reflect.get(window, 'joined');
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [320, 10];
  const sheet = canvas.getContext('2d', { willReadFrequently: true });
  if (!sheet) throw new Error('no canvas');
  /** @type {number[]} */
  const found = [];
  let [stalledMs, ranMs] = [0, performance.now()];
  const beat = setInterval(() => {
    const now = performance.now();
    [stalledMs, ranMs] = [Math.max(stalledMs, now - ranMs), now];
  }, 10);
  const until = performance.now() + seconds * 1000;
  await new Promise((done) => {
    const look = (/** @type {number} */ now, /** @type {VideoFrameCallbackMetadata} */ frame) => {
      // The top row of 32 blocks.
      sheet.drawImage(video, 0, 0, video.videoWidth, video.videoWidth / 32, 0, 0, 320, 10);
      const pixels = sheet.getImageData(0, 5, 320, 1).data;
      let code = 0;
      for (let bit = 0; bit < 32; bit++) code = code * 2 + ((pixels[(bit * 10 + 5) * 4] ?? 0) > 125 ? 1 : 0);
      const shown = performance.timeOrigin + Math.max(now, frame.expectedDisplayTime);
      found.push((shown - code + 2 ** 33) % 2 ** 32);
      if (performance.now() < until) video.requestVideoFrameCallback(look);
      else done(null);
    };
    video.requestVideoFrameCallback(look);
  });
  clearInterval(beat);
  return { found, stalledMs };
}

await withTab(async (tab) => {
  if (way === 'hls') {
    await tab.evaluate(readFileSync(HLS, 'utf8') + ';window.Hls = Hls; null');
    await tab.evaluate(playHls, token);
  } else await tab.evaluate(join, [token]);
  await tab.waitForTimeout(SETTLE_MS);
  const { found, stalledMs } = await tab.evaluate(delays, Number(seconds));
  const all = found.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) =>
    Math.round(all[Math.min(all.length - 1, Math.ceil(share * all.length) - 1)] ?? NaN);
  console.log(
    JSON.stringify({
      n: all.length,
      p50: at(0.5),
      p95: at(0.95),
      max: at(1),
      browser_stood_ms: Math.round(stalledMs),
    }),
  );
  if (way !== 'hls') await tab.evaluate(leave, token);
});
