// The live page when something goes: a camera, the box; its order; its shape on small and large screens; its words for those who listen.
import type { Page } from '@playwright/test';
import { type Box, startBox } from './box';
import { NOBODY, USER, expect, expectAccessible, expectSilence, pairWith, settled, test } from './steps';

const PLAIN = `
width = 320
height = 180
fps = 8
bitrate_kbps = 300
motion = { enabled = false }`;

/** A second box that plays a network camera, and its address there. */
async function startCamera(): Promise<{ yard: Box; source: string }> {
  const yard = await startBox(`
[[camera]]
id = "yard"
source = "test"
record = { mode = "off" }${PLAIN}`);
  const { json } = await yard.call('POST', '/api/v1/pair', undefined, {
    otp: yard.otp,
    device_name: 'other',
  });
  const made = await yard.call('POST', '/api/v1/stream-passwords', json.token, { name: 'other' });
  return { yard, source: `rtsp://other:${made.json.password}@127.0.0.1:${yard.rtspPort}/yard` };
}

/** How light the lightest part of a tile's picture is, 0 to 255: black all over is no picture. */
const brightness = (page: Page, tile: string) =>
  page.getByTestId(tile).evaluate((element) => {
    const shown =
      element.querySelector<HTMLCanvasElement>('canvas:not([hidden])') ?? element.querySelector('img');
    if (!shown) return -1;
    const copy = document.createElement('canvas');
    copy.width = copy.height = 16;
    const context = copy.getContext('2d')!;
    context.drawImage(shown, 0, 0, 16, 16);
    const data = context.getImageData(0, 0, 16, 16).data;
    return Math.max(...data.filter((_, i) => i % 4 !== 3));
  });

test.describe(() => {
  test.use({ storageState: NOBODY });

  test('the last picture of a lost camera and of a lost box stays, with its time', async ({ browser }) => {
    test.slow();
    const { yard, source } = await startCamera();
    const box = await startBox(`
[[camera]]
id = "yard"
name = "Yard"
source = "${source}"
record = { mode = "continuous" }
motion = { enabled = false }
[[camera]]
id = "hall"
name = "Hall"
source = "test"
record = { mode = "off" }${PLAIN}`);
    try {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      await pairWith(box, context);
      const page = await context.newPage();
      await page.goto(`${box.url}/live`);
      await settled(page);
      // There is a file with pictures.
      const recorded = async () => {
        const at = encodeURIComponent(new Date().toISOString());
        return (await context.request.get(`${box.url}/api/v1/cameras/yard/snapshot.jpg?at=${at}`)).status();
      };
      await expect.poll(recorded, { timeout: 60_000 }).toBe(200);
      await yard.stop();
      const tile = page.getByTestId('tile-yard');
      await expect(tile).toContainText('Does not answer since', { timeout: 60_000 });
      await expect(tile).toContainText('Is it powered, and in the box’s network?');
      await expect(tile.getByTestId('last-picture')).toHaveText(/^Last picture .*\d:\d\d:\d\d/);
      expect(await brightness(page, 'tile-yard')).toBeGreaterThan(60);
      await expect(page.getByTestId('tile-hall').getByTestId('last-picture')).toHaveCount(0);
      await page.screenshot({ path: 'test-results/shots/live-lost-camera.png' });

      // Whoever comes later sees what was recorded last.
      await page.reload();
      await expect(tile.getByTestId('last-picture')).toHaveText(/^Last picture .*\d:\d\d:\d\d/);
      await expect.poll(() => brightness(page, 'tile-yard')).toBeGreaterThan(60);
      await page.goto(`${box.url}/system`);
      await expect(page.getByTestId('state-sentence')).toHaveText(/Yard does not answer\. Is it powered/);
      await page.getByTestId('state-place').click();
      const card = page.getByTestId('system-camera-yard');
      await expect(card).toBeFocused();
      await expect(card.getByText('nothing answers on its port', { exact: false })).toBeHidden();
      await card.getByText('Details').click();
      await expect(card.getByText('nothing answers on its port', { exact: false })).toBeVisible();

      // The box goes: said once, with a countdown that counts, and no tile is black.
      await page.goto(`${box.url}/live`);
      await settled(page).catch(() => {});
      await expect(page.getByTestId('tile-hall').getByTestId('live-video')).toHaveAttribute(
        'data-phase',
        'playing',
      );
      // A frame was copied: the copy has a size of its own, and no longer that of a new canvas.
      const copied = () =>
        page
          .getByTestId('tile-hall')
          .locator('canvas')
          .first()
          .evaluate((canvas: HTMLCanvasElement) => canvas.width);
      await expect.poll(copied).not.toBe(300);
      await box.down();
      await expect(page.getByTestId('offline')).toContainText('The box is not reached since');
      await expect(page.getByTestId('offline')).toHaveCount(1);
      await expect(page.getByTestId('offline')).toContainText(/Trying again in \d s\./);
      await expect(page.getByTestId('tile-hall').getByTestId('last-picture')).toBeVisible({
        timeout: 30_000,
      });
      expect(await brightness(page, 'tile-hall')).toBeGreaterThan(60);
      await expect(page.getByTestId('tile-hall')).not.toContainText('could not be reached');
      await expect(page.getByTestId('tile-hall')).not.toContainText('Trying again');
      await expectAccessible(page);
      await page.screenshot({ path: 'test-results/shots/live-lost-box.png' });

      // It comes back by itself.
      await box.up();
      await expect(page.getByTestId('offline')).toHaveCount(0, { timeout: 20_000 });
      await expect(page.getByTestId('tile-hall').getByTestId('live-video')).toHaveAttribute(
        'data-phase',
        'playing',
      );
      await context.close();
    } finally {
      await box.stop();
      await yard.stop();
    }
  });

  test('a page that is opened while the box is off says so, and goes on by itself', async ({ browser }) => {
    const box = await startBox(`
[[camera]]
id = "hall"
source = "test"
record = { mode = "off" }${PLAIN}`);
    try {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      await pairWith(box, context);
      const page = await context.newPage();
      // A single visit is enough for the shell.
      await page.goto(`${box.url}/system/storage`);
      await expect(page.getByTestId('storage')).toBeVisible();
      await page.evaluate(async () => {
        await navigator.serviceWorker.ready;
        const cache = await caches.open('perch-shell');
        while (!(await cache.match('/'))) await new Promise((done) => setTimeout(done, 50));
      });
      await box.down();
      await page.reload();
      await expect(page.getByRole('heading', { name: 'The box cannot be reached' })).toBeVisible();
      await expect(page.getByText(/Trying again in \d s\./)).toBeVisible();
      await expectAccessible(page);
      await box.up();
      await expect(page.getByTestId('storage')).toBeVisible({ timeout: 10_000 });

      // What is shown of a box that goes is greyed, and that is said once.
      await box.down();
      await expect(page.getByTestId('offline')).toContainText('The box is not reached since');
      await expect(page.getByRole('alert')).toHaveCount(0);
      await expect(page.getByText(/could not be reached/)).toHaveCount(0);
      await page.getByTestId('system-part-overview').click();
      await expect(page.getByText('Everything works')).toHaveCount(0);
      await context.close();
    } finally {
      await box.stop();
    }
  });
});

test('a phone that lies shows whole tiles and has its pages at the left', async ({ page }) => {
  const viewport = { width: 740, height: 360 };
  await page.setViewportSize(viewport);
  await page.goto('/live');
  await settled(page);
  const tiles = await page.locator('[data-testid^=tile-]').all();
  expect(tiles).toHaveLength(4);
  for (const tile of tiles) {
    const box = (await tile.boundingBox())!;
    expect(box.y).toBeGreaterThanOrEqual(0);
    expect(box.y + box.height, 'a whole tile').toBeLessThanOrEqual(viewport.height);
    expect(box.width * box.height).toBeGreaterThan(0.13 * viewport.width * viewport.height);
  }
  const nav = (await page.getByRole('navigation', { name: 'Pages' }).boundingBox())!;
  expect([nav.x, nav.y, nav.height]).toEqual([0, 0, viewport.height]);
  expect(nav.width).toBeLessThan(90);
  await expectAccessible(page);
  await page.screenshot({ path: 'test-results/shots/live-lying.png' });
});

for (const viewport of [
  { width: 1440, height: 900 },
  { width: 2560, height: 1440 },
]) {
  test(`the grid stands in the middle at ${viewport.width} px`, async ({ page }) => {
    await page.setViewportSize(viewport);
    await page.goto('/live');
    const grid = page.locator('main ul');
    await expect(grid).toBeVisible();
    const [of, main] = [(await grid.boundingBox())!, (await page.locator('main').boundingBox())!];
    const left = of.x - main.x;
    const right = main.x + main.width - of.x - of.width;
    expect(Math.abs(left - right)).toBeLessThanOrEqual(2);
    const tools = (await page.getByRole('group', { name: 'Columns' }).boundingBox())!;
    expect(tools.x + tools.width, 'the controls end with the grid').toBeLessThanOrEqual(of.x + of.width + 1);
    expect(of.y + of.height).toBeLessThanOrEqual(viewport.height);
  });
}

test.describe(() => {
  test.use({ storageState: NOBODY });

  test('the order of the cameras and favourites are changed by keys and by dragging, on all devices of a person', async ({
    browser,
  }) => {
    test.slow();
    const names = ['test', 'door', 'yard', 'porch', 'shed'];
    const box = await startBox(
      names
        .map(
          (id) => `
[[camera]]
id = "${id}"
name = "${id[0]!.toUpperCase() + id.slice(1)}"
source = "test"
record = { mode = "off" }${PLAIN}`,
        )
        .join(''),
    );
    try {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      await pairWith(box, context);
      const page = await context.newPage();
      const silent = expectSilence(page);
      await page.setViewportSize({ width: 360, height: 740 });
      await page.goto(`${box.url}/live`);
      const idsOn = (on: Page) =>
        on
          .locator('[data-testid^=tile-]')
          .evaluateAll((all) => all.map((tile) => (tile as HTMLElement).dataset.testid?.slice(5)));
      await expect(page.getByTestId('tile-shed')).toBeVisible();
      expect(await idsOn(page)).toEqual(names);
      await page.getByRole('button', { name: '2', exact: true }).click();
      await page.getByTestId('arrange').click();
      await page.getByRole('button', { name: 'Move Porch forward' }).focus();
      await page.keyboard.press('Enter');
      await expect(page.getByText('Porch is now 3 of 5.')).toBeAttached();
      await page.keyboard.press('Enter');
      expect(await idsOn(page)).toEqual(['test', 'porch', 'door', 'yard', 'shed']);
      const [from, to] = await Promise.all(
        ['tile-door', 'tile-test'].map((id) => page.getByTestId(id).boundingBox()),
      );
      await page.mouse.move(from!.x + 12, from!.y + 12);
      await page.mouse.down();
      await page.mouse.move(to!.x + 20, to!.y + 20, { steps: 8 });
      await page.mouse.up();
      expect(await idsOn(page)).toEqual(['door', 'test', 'porch', 'yard', 'shed']);

      // A favourite comes first; where there are many cameras, favourites are shown alone.
      await expect(page.getByTestId('favourites')).toHaveCount(0);
      const star = page.getByRole('button', { name: 'Shed is a favourite' });
      await star.focus();
      await page.keyboard.press('Enter');
      await expect(star).toHaveAttribute('aria-pressed', 'true');
      await expect(page.getByText('Shed is a favourite now.')).toBeAttached();
      expect(await idsOn(page)).toEqual(['shed', 'door', 'test', 'porch', 'yard']);
      await page.getByTestId('favourite-yard').click();
      expect(await idsOn(page)).toEqual(['shed', 'yard', 'door', 'test', 'porch']);
      await expectAccessible(page);
      await page.screenshot({ path: 'test-results/shots/live-arrange.png' });
      await page.getByTestId('arrange').click();
      await page.getByTestId('favourites').click();
      expect(await idsOn(page)).toEqual(['shed', 'yard']);
      await page.reload();
      await expect(page.getByTestId('tile-shed')).toBeVisible();
      expect(await idsOn(page), 'and stays so on this phone').toEqual(['shed', 'yard']);
      const widths = await page
        .locator('[data-testid^=tile-]')
        .evaluateAll((all) => all.map((tile) => tile.clientWidth));
      expect(Math.max(...widths), 'two beside each other').toBeLessThan(180);

      // Another browser of the same person shows the same order.
      const { name, password } = USER;
      const other = await browser.newContext({ ignoreHTTPSErrors: true });
      await other.request.post(`${box.url}/api/v1/session`, {
        data: { username: name, password, device_name: 'desktop' },
        headers: { origin: box.url },
      });
      const desktop = await other.newPage();
      await desktop.goto(`${box.url}/live`);
      await expect(desktop.getByTestId('tile-shed')).toBeVisible();
      expect(await idsOn(desktop)).toEqual(['shed', 'yard', 'door', 'test', 'porch']);
      await expect(desktop.getByTestId('tile-shed')).toContainText('Favourite');
      await desktop.screenshot({ path: 'test-results/shots/live-favourites.png' });
      silent();
      await other.close();
      await context.close();
    } finally {
      await box.stop();
    }
  });
});

test('a tile is named by its camera first, and one camera is heard while all are seen', async ({ page }) => {
  await page.goto('/live');
  await settled(page);
  const link = page.getByTestId('tile-door').getByRole('link');
  await expect(link).toHaveAccessibleName('Front door');
  await expect(link).toHaveAccessibleDescription(/Live/);
  // Its buttons can be read over a white picture, whatever the theme.
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const [icon, backing] = await page
      .getByTestId('switch-off-door')
      .evaluate((button) => [getComputedStyle(button).color, getComputedStyle(button).backgroundColor]);
    expect(icon).toBe('rgb(255, 255, 255)');
    const [r, g, b, opacity] = (backing ?? '').match(/[\d.]+/g)!.map(Number);
    expect([r, g, b]).toEqual([0, 0, 0]);
    expect(opacity, 'at least 4.5 to 1 over white').toBeGreaterThanOrEqual(0.54);
  }
  await page.getByRole('button', { name: 'Sound of Front door' }).click();
  const muted = () =>
    page
      .getByTestId('live-sound')
      .evaluateAll((all) => all.filter((sound) => !(sound as HTMLAudioElement).muted).length);
  expect(await muted()).toBe(1);
  await page.getByRole('button', { name: 'Sound of Test' }).click();
  expect(await muted()).toBe(1);
  await expect(page.getByRole('button', { name: 'Sound of Front door' })).toHaveAttribute(
    'aria-pressed',
    'false',
  );
  await link.click();
  await expect(page).toHaveURL(/camera\/door$/);
});

test('a text size of 200 % widens no page of a phone', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.addInitScript(() =>
    document.addEventListener('DOMContentLoaded', () => (document.documentElement.style.fontSize = '200%')),
  );
  const parts = ['', '/cameras', '/storage', '/people', '/device', '/box', '/log'].map(
    (part) => `/system${part}`,
  );
  const forms = ['/add-camera', '/camera/door/settings', '/settings', '/settings/modes'];
  for (const path of ['/live', '/camera/door', '/events', '/foo', ...parts, ...forms]) {
    await page.goto(path);
    await expect(page.locator('h1').first()).toBeAttached();
    await page.waitForTimeout(1000);
    const { wide, size } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth - innerWidth,
      size: parseFloat(getComputedStyle(document.querySelector('nav a span')!).fontSize),
    }));
    expect(wide, `${path} is not wider than the screen`).toBeLessThanOrEqual(0);
    expect(size, 'the text is larger').toBeGreaterThanOrEqual(24);
  }
});
