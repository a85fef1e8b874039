// A network that lets no direct connection through: the picture comes over HTTPS by itself, says so, and goes back when it can.
import type { Page } from '@playwright/test';
import { expect, expectSilence, lookAt, test } from './steps';

/** Only relays may be used, and there is none: as behind a firewall that drops UDP, until it is let through. */
async function block(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const Native = window.RTCPeerConnection;
    (window as any).isBlocked = true;
    window.RTCPeerConnection = class extends Native {
      constructor(config?: RTCConfiguration) {
        super((window as any).isBlocked ? { ...config, iceTransportPolicy: 'relay' } : config);
      }
    };
  });
}

/** How far the picture over HTTPS got, seconds, and how many rows it has. */
const progress = (page: Page) =>
  page
    .getByTestId('live-over-https')
    .first()
    .evaluate((video: HTMLVideoElement) => [video.currentTime, video.videoHeight]);

test('a picture comes over HTTPS while there is no direct way, and goes back', async ({ page }) => {
  test.slow();
  const silent = expectSilence(page);
  await block(page);
  await page.goto('/camera/test');
  const words = page.getByTestId('over-https');
  await expect(words).toHaveText(/^Over HTTPS, a second late/, { timeout: 30_000 });
  const [before = 0, rows] = await progress(page);
  expect(rows).toBeGreaterThan(0);
  await expect.poll(async () => (await progress(page))[0], { timeout: 10_000 }).toBeGreaterThan(before + 2);
  // The picture stands in for the still, and nothing asks to try again.
  await expect(page.getByRole('button', { name: 'Try now' })).toHaveCount(0);
  await lookAt(page, 'camera-over-https');
  const live = await page.request.get('/api/v1/live');
  expect((await live.json()).over_https).toContainEqual(
    expect.objectContaining({ camera: 'test', stream: 'main', transport: 'hls' }),
  );

  await page.evaluate(() => ((window as any).isBlocked = false));
  await expect(page.getByTestId('live-video')).toHaveAttribute('data-phase', 'playing', { timeout: 60_000 });
  await expect(page.getByTestId('live-over-https')).toHaveCount(0);
  await expect(words).toHaveCount(0);
  silent();
});

test('the tiles of all cameras come over HTTPS, too', async ({ page }) => {
  test.slow();
  await block(page);
  await page.goto('/live');
  await expect(page.getByTestId('over-https').first()).toHaveText('Over HTTPS, a little late', {
    timeout: 30_000,
  });
  await lookAt(page, 'live-over-https');
});
