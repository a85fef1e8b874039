// What the camera page says of its connection, and a data budget that is chosen there.
import { startBox } from './box';
import { NOBODY, expect, expectSilence, lookAt, pairWith, settled, test } from './steps';

test.use({ storageState: NOBODY });

test('a data budget makes the picture small, and the page says so', async ({ browser }) => {
  test.slow();
  const box = await startBox(`
[[camera]]
id = "yard"
source = "test"
record = { mode = "off" }
motion = { enabled = false }
width = 1280
height = 720
fps = 25
bitrate_kbps = 3000`);
  try {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 360, height: 740 },
      colorScheme: 'dark',
    });
    const page = await context.newPage();
    const silent = expectSilence(page);
    await pairWith(box, context);
    await page.goto(`${box.url}/camera/yard`);
    await expect(page.getByTestId('live-video')).toHaveAttribute('data-phase', 'playing', {
      timeout: 20_000,
    });
    await page.getByTestId('health').click();
    await expect(page.getByTestId('health-line')).toContainText('direct', { timeout: 10_000 });
    await expect(page.getByTestId('health-line')).not.toContainText('budget');
    const asked = page.waitForRequest((request) => request.url().includes('budget_mb_per_hour=100'));
    await page.getByTestId('data-budget').selectOption({ label: '100 MB an hour' });
    await asked;
    await expect(page.getByTestId('health-line')).toContainText(': your data budget', { timeout: 20_000 });
    await settled(page);
    await lookAt(page, 'camera-budget');
    silent();
    await context.close();
  } finally {
    await box.stop();
  }
});
