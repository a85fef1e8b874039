// Every page at phone and desktop width, dark and light: accessible, nothing wider than the screen, nothing on the console; a
// screenshot of each is left in test-results/shots for somebody to look at.
import type { Page } from '@playwright/test';
import { NOBODY, expect, expectAccessible, expectSilence, settled, signIn, test } from './steps';

const PAGES = {
  live: { path: '/', shows: /^tile-test$/ },
  camera: { path: '/camera/door', shows: /^timeline$/ },
  events: { path: '/events', shows: /^event-card-/ },
  system: { path: '/system', shows: /^state-sentence$/ },
  'system-cameras': { path: '/system/cameras', shows: /^system-camera-test$/ },
  'system-storage': { path: '/system/storage', shows: /^storage$/ },
  'system-people': { path: '/system/people', shows: /^add-phone$/ },
  'system-connection': { path: '/system/connection', shows: /^doctor-start$/ },
  'system-device': { path: '/system/device', shows: /^sign-out$/ },
  'system-box': { path: '/system/box', shows: /^update-card$/ },
  'system-log': { path: '/system/log', shows: /^tasks$/ },
  unknown: { path: '/foo/bar', shows: /^unknown-page$/ },
};
const WIDTHS = { phone: { width: 360, height: 740 }, desktop: { width: 1440, height: 900 } };

/** Looks at the page that shows in each width and scheme. */
async function lookAt(page: Page, name: string) {
  for (const [width, viewport] of Object.entries(WIDTHS)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await settled(page);
      await page.screenshot({
        path: `test-results/shots/${name}-${width}-${colorScheme}.png`,
        fullPage: true,
      });
      // In the dark only the contrast differs, and that does not with the width.
      if (colorScheme === 'light') await expectAccessible(page);
      else if (width === 'phone') await expectAccessible(page, ['color-contrast']);
    }
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow, `${name} is not wider than the screen`).toBeLessThanOrEqual(0);
  }
}

for (const [name, { path, shows }] of Object.entries(PAGES)) {
  test(`the page ${name} in both widths and schemes`, async ({ page }) => {
    const silent = expectSilence(page);
    await page.goto(path);
    // The first event takes as long as something takes to move.
    await expect(page.getByTestId(shows).first()).toBeVisible({ timeout: 60_000 });
    await lookAt(page, name);
    silent();
  });
}

test.describe(() => {
  test.use({ storageState: NOBODY });

  test('the login page in both widths and schemes', async ({ page }) => {
    await page.goto('/login');
    await expect(page.getByRole('button', { name: /sign in/i })).toBeVisible();
    await lookAt(page, 'login');
  });
});

test('a revoked device is led to the login page by itself', async ({ page, browser, baseURL }) => {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    storageState: NOBODY,
    baseURL: baseURL ?? '',
  });
  const leaver = await context.newPage();
  await signIn(leaver);
  const id = (await (await context.request.get('/api/v1/me')).json()).device_id;
  await page.goto('/live');
  const status = await page.evaluate(
    async (d) => (await fetch(`/api/v1/devices/${d}`, { method: 'DELETE' })).status,
    id,
  );
  expect(status).toBe(204);
  await expect(leaver.getByRole('button', { name: /sign in/i })).toBeVisible();
  await context.close();
});
