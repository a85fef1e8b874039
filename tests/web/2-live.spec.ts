// Live: every camera's picture and sound are decoded and go on. How smoothly is measured by `make bench` (watching.mjs).
import { expect, expectSilence, received, test, watchPeers } from './steps';

/** The test pattern, a file, another box over RTSP, and one in VP8. */
const CAMERAS = ['test', 'door', 'yard', 'porch'];

test('the grid shows every camera live', async ({ page }) => {
  await watchPeers(page);
  const silent = expectSilence(page);
  await page.goto('/live');
  for (const camera of CAMERAS) await expect(page.getByTestId(`tile-${camera}`)).toBeVisible();
  await expect
    .poll(async () => (await received(page)).filter((r) => r.framesDecoded > 10).length)
    .toBe(CAMERAS.length);
  silent();
});

for (const camera of CAMERAS) {
  test(`camera ${camera}: video and audio are decoded and go on`, async ({ page }) => {
    await watchPeers(page);
    await page.goto(`/camera/${camera}`);
    const last = async () => (await received(page)).at(-1) ?? { framesDecoded: 0, audioSamples: 0 };
    await expect.poll(async () => (await last()).framesDecoded).toBeGreaterThan(5);
    const before = await last();
    // A second and a half's worth, however long a busy machine takes for them.
    await expect.poll(async () => (await last()).framesDecoded - before.framesDecoded).toBeGreaterThan(12);
    await expect
      .poll(async () => (await last()).audioSamples - before.audioSamples)
      .toBeGreaterThan(1.5 * 48_000);
    const video = page.getByTestId('live-video');
    await expect(video).toHaveAttribute('data-phase', 'playing');
    expect(await video.evaluate((v: HTMLVideoElement) => v.videoWidth > 0 && !v.paused)).toBe(true);
  });
}
