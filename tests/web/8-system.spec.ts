// System in its parts: each has an address, leads on, shows only what is the viewer's, and stands still while a camera fails and retries.
import type { Page } from '@playwright/test';
import { startBox } from './box';
import { NOBODY, expect, expectSilence, lookAt, pairWith, test } from './steps';

const PARTS = ['', 'cameras', 'storage', 'people', 'connection', 'device', 'box', 'log'];
const WIDTHS = {
  phone: { width: 360, height: 740 },
  desktop: { width: 1440, height: 900 },
};
/** How far parts of a page may move in all (Layout Instability, the sum of shifts without input). */
const MOST_SHIFT = 0.02;
const WATCHED_MS = 15_000;

/** A box with a camera that works, one that never answers and is tried again and again, and one whose device is not there. */
const TROUBLED = `
[[camera]]
id = "door"
name = "Front door"
source = "test"
width = 320
height = 180
motion = { enabled = false }
[[camera]]
id = "yard"
name = "Yard"
source = "rtsp://127.0.0.1:9/yard"
[[camera]]
id = "shed"
name = "Shed"
source = "v4l2:/dev/video63"`;

/** Sums what moves from the first paint on. Call before the page loads. */
async function watchShifts(page: Page) {
  await page.addInitScript(() => {
    type Shift = PerformanceEntry & {
      value: number;
      hadRecentInput: boolean;
      sources: { node: Node | null }[];
    };
    const shifts: string[] = [];
    Object.assign(window, { shifts, shifted: 0 });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as Shift[]) {
        if (entry.hadRecentInput) continue;
        (window as unknown as { shifted: number }).shifted += entry.value;
        const moved = entry.sources.map(({ node }) => (node as Element | null)?.className ?? node?.nodeName);
        shifts.push(`${entry.value.toFixed(4)} at ${entry.startTime.toFixed(0)} ms: ${moved.join(', ')}`);
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
}

test.describe(() => {
  test.use({ storageState: NOBODY });

  test('no part of System moves while a camera fails and is tried again', async ({ browser }) => {
    const box = await startBox(TROUBLED);
    try {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      await pairWith(box, context);
      for (const [width, viewport] of Object.entries(WIDTHS)) {
        const pages = await Promise.all(
          PARTS.map(async (part) => {
            const page = await context.newPage();
            await page.setViewportSize(viewport);
            await watchShifts(page);
            await page.goto(`${box.url}/system/${part}`);
            return { part, page };
          }),
        );
        await pages[0]?.page.waitForTimeout(WATCHED_MS);
        for (const { part, page } of pages) {
          const { shifted, shifts } = await page.evaluate(() => {
            const seen = window as unknown as {
              shifted: number;
              shifts: string[];
            };
            return { shifted: seen.shifted, shifts: seen.shifts };
          });
          expect(shifted, `/system/${part}, ${width}: ${shifts.join('; ')}`).toBeLessThan(MOST_SHIFT);
          await page.close();
        }
      }
      await context.close();
    } finally {
      await box.stop();
    }
  });
});

test('each part has its address, is led to and led back from', async ({ page }) => {
  const silent = expectSilence(page);
  await page.setViewportSize(WIDTHS.phone);
  await page.goto('/system');
  for (const part of PARTS.slice(1)) {
    await page.getByTestId(`system-part-${part}`).click();
    await expect(page).toHaveURL(new RegExp(`/system/${part}$`));
    await expect(page.locator('main h1')).toBeFocused();
    await expect(page.getByTestId('nav-system')).toHaveAttribute('aria-current', 'page');
    await page.getByRole('link', { name: 'System' }).first().click();
    await expect(page).toHaveURL(/\/system$/);
  }
  await page.goBack();
  await expect(page).toHaveURL(/\/system\/log$/);
  await page.reload();
  await expect(page.getByTestId('tasks')).toBeVisible();
  // A link from before the parts had addresses of their own.
  await page.goto('/system#camera-door');
  await expect(page.getByTestId('system-camera-door')).toBeFocused();
  silent();
});

test('an address that means nothing says so and leads on', async ({ page }) => {
  const silent = expectSilence(page);
  await page.goto('/foo/bar');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('No such page');
  await expect(page.getByTestId('unknown-page')).toContainText('/foo/bar');
  await page.getByRole('link', { name: 'Go to the cameras' }).click();
  await expect(page.getByTestId('tile-test')).toBeVisible();
  silent();
});

test('a camera that there is none of is no raw name: a sentence, the way back, and the cameras that there are', async ({
  page,
}) => {
  const silent = expectSilence(page, { status: 404, file: /\/no-such-one\// });
  for (const [path, leads] of [
    ['/camera/no-such-one', '/camera/door'],
    ['/camera/no-such-one/settings', '/camera/door/settings'],
  ] as const) {
    await page.goto(path);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('No such camera');
    await expect(page).toHaveTitle(/^(?!.*no-such-one).+$/);
    await expect(page.locator('main')).not.toContainText('no-such-one');
    await expect(page.getByRole('link', { name: 'Go to the cameras' })).toHaveAttribute('href', '/live');
    await lookAt(page, `unknown-camera${leads.endsWith('settings') ? '-settings' : ''}`);
    await page.locator('main').getByRole('link', { name: 'Front door' }).click();
    await expect(page).toHaveURL(new RegExp(`${leads}$`));
    await expect(page.getByRole('heading', { level: 1 })).toContainText('Front door');
  }
  silent();
});

test('an empty field switches SSH off neither by accident nor without a question', async ({ page }) => {
  const silent = expectSilence(page);
  // As a box on the card image answers, with a key let in.
  const facts = {
    hostname: 'perch',
    time_zone: 'UTC',
    ssid: null,
    signal_dbm: null,
    ssh_key: 'ssh-ed25519 SHA256 0011',
    no_restart: null,
    not_ours: null,
    last: null,
  };
  const asked: unknown[] = [];
  await page.route('**/api/v1/system', async (route) => {
    const isChange = route.request().method() === 'PATCH';
    if (isChange) asked.push(route.request().postDataJSON());
    await route.fulfill({ status: isChange ? 202 : 200, json: facts });
  });
  await page.goto('/system/box');
  const change = page.getByTestId('system-ssh');
  await change.click();
  await expect(page.getByText('Paste the line of a .pub file first.')).toBeVisible();
  await page.getByLabel('Public key').fill('   ');
  await change.click();
  expect(asked).toEqual([]);
  await page.getByRole('button', { name: 'Switch SSH off' }).click();
  const dialog = page.getByRole('dialog', { name: 'Switch SSH off?' });
  await expect(dialog).toBeVisible();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  expect(asked).toEqual([]);
  await page.getByRole('button', { name: 'Switch SSH off' }).click();
  await dialog.getByRole('button', { name: 'Switch SSH off' }).click();
  await expect(dialog).toBeHidden();
  expect(asked).toEqual([{ ssh_key: '' }]);
  silent();
});
