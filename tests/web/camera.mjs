// What headless Chromium makes of one camera of a running box, printed as JSON: frames of both streams live, and of its recording as a
// file and by Media Source. For `make cameras`.
import { readFileSync } from 'node:fs';
import { join as path } from 'node:path';
import { join, leave, received, withTab } from './whep.mjs';

const {
  PERCH_TEST_TOKEN: token = '',
  PERCH_TEST_CAMERA: camera = 'cam',
  PERCH_TEST_FROM: from = '',
  PERCH_TEST_TO: to = '',
} = process.env;
const LIVE_MS = 4000;
const HLS = path(import.meta.dirname, '../../web/node_modules/hls.js/dist/hls.light.min.js');

/** Plays an address in a plain <video>, as fast as the browser may; its frames, or what it says instead. */
async function file(/** @type {string[]} */ [address = '', token]) {
  const answer = await fetch(address, { headers: { authorization: `Bearer ${token}` } });
  if (!answer.ok) return { error: `${answer.status}` };
  const video = document.createElement('video');
  video.muted = true;
  video.src = URL.createObjectURL(await answer.blob());
  video.playbackRate = 4;
  const failed = () => ({
    error: video.error?.message ?? `is at ${video.currentTime.toFixed(1)} of ${video.duration.toFixed(1)} s`,
  });
  const ended = new Promise((done) =>
    ['ended', 'error'].forEach((name) => video.addEventListener(name, done)),
  );
  const late = new Promise((done) => setTimeout(done, 20_000));
  // Of a file in which it finds no picture it neither plays nor says that it does not.
  const refused = video.play().then(
    () => ended,
    () => {},
  );
  await Promise.race([refused, ended, late]);
  const { totalVideoFrames: frames } = video.getVideoPlaybackQuality();
  const size = `${video.videoWidth}x${video.videoHeight}`;
  return video.ended ? { frames, size } : { ...failed(), frames, size };
}

/** Plays a playlist by Media Source with hls.js. */
async function mediaSource(/** @type {string[]} */ [address = '', token]) {
  const Hls = Reflect.get(window, 'Hls');
  const video = document.createElement('video');
  video.muted = true;
  const hls = new Hls({
    enableWorker: false,
    xhrSetup: (/** @type {XMLHttpRequest} */ xhr) => xhr.setRequestHeader('authorization', `Bearer ${token}`),
  });
  const fatal = new Promise((done) =>
    hls.on(
      Hls.Events.ERROR,
      (/** @type {string} */ _, /** @type {{ fatal: boolean, details: string }} */ data) => {
        if (data.fatal) done(data.details);
      },
    ),
  );
  hls.loadSource(address);
  hls.attachMedia(video);
  video.playbackRate = 4;
  const ended = new Promise((done) => video.addEventListener('ended', () => done('')));
  const late = new Promise((done) =>
    setTimeout(() => done(`is at ${video.currentTime.toFixed(1)} of ${video.duration.toFixed(1)} s`), 20_000),
  );
  void video.play().catch(() => {});
  const error = await Promise.race([fatal, ended, late]);
  const { totalVideoFrames: frames } = video.getVideoPlaybackQuality();
  hls.destroy();
  return error ? { error, frames } : { frames };
}

await withTab(async (tab) => {
  /** @type {Record<string, unknown>} */
  const out = {};
  for (const stream of ['main', 'sub']) {
    try {
      await tab.evaluate(join, [token, camera, stream]);
      await tab.waitForTimeout(LIVE_MS);
      const { frames, audio_packets } = await tab.evaluate(received);
      out[stream] = { frames, audio_packets };
      await tab.evaluate(leave, token);
    } catch (error) {
      out[stream] = { error: String(error).split('\n')[0] };
    }
  }
  const range = `from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`;
  out.file = await tab.evaluate(file, [`/api/v1/cameras/${camera}/export.mp4?${range}`, token]);
  await tab.evaluate(readFileSync(HLS, 'utf8') + ';window.Hls = Hls; null');
  out.mse = await tab.evaluate(mediaSource, [`/api/v1/cameras/${camera}/playback.m3u8?${range}`, token]);
  console.log(JSON.stringify(out));
});
