// People: who may come in and with what, cutting somebody off and letting them back in, names of devices, invitations, players.
import type { Browser, BrowserContext, Page } from '@playwright/test';
import { type Box, startBox } from './box';
import { NOBODY, expect, expectAccessible, expectSilence, lookAt, test, typeCode } from './steps';

const PASSWORD = 'a long enough password';
const HOUSE = ['front', 'yard']
  .map(
    (id) => `
[[camera]]
id = "${id}"
name = "${id === 'front' ? 'Front door' : 'Yard'}"
source = "test"
width = 320
height = 180
fps = 8
bitrate_kbps = 300
record = { mode = "off" }
motion = { enabled = false }`,
  )
  .join('');
const SIZES = {
  phone: { width: 360, height: 740 },
  desktop: { width: 1440, height: 900 },
};
/** How far parts of the page may move in all while it loads. */
const MOST_SHIFT = 0.02;

/** A browser that is signed in as somebody. */
async function signedIn(
  browser: Browser,
  box: Box,
  username: string,
  password = PASSWORD,
): Promise<BrowserContext> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    baseURL: box.url,
  });
  const answer = await context.request.post('/api/v1/session', {
    data: { username, password, device_name: 'Chrome on Linux' },
    headers: { origin: box.url },
  });
  expect(answer.status()).toBe(204);
  return context;
}

/** A box that belongs to Anna; and her token. */
async function ownedBox(): Promise<{ box: Box; token: string }> {
  const box = await startBox(HOUSE);
  const paired = await box.call('POST', '/api/v1/pair', undefined, {
    otp: box.otp,
    device_name: 'tests',
  });
  const { token } = paired.json;
  const made = await box.call('POST', '/api/v1/users', token, {
    name: 'anna',
    password: PASSWORD,
    role: 'admin',
  });
  expect(made.status).toBe(201);
  return { box, token };
}

const person = (page: Page, name: string) => page.getByTestId(`user-${name}`);
const playing = (page: Page) => page.locator('[data-testid=live-video][data-phase=playing]');

test.use({ storageState: NOBODY });

test('somebody is added for one camera, cut off, told so by whom, kept out, and let back in', async ({
  browser,
}) => {
  const { box } = await ownedBox();
  try {
    const annas = await (await signedIn(browser, box, 'anna')).newPage();
    const silent = expectSilence(annas);
    await annas.goto('/system/people');
    await expect(person(annas, 'anna')).toContainText('Administrator');
    await annas.getByTestId('add-account').click();
    await annas.getByTestId('account-name').fill('eve');
    await annas.getByTestId('account-password').fill(PASSWORD);
    await annas.getByTestId('cameras-some').check();
    await annas.getByTestId('account-submit').click();
    await expect(annas.getByRole('alert')).toContainText('at least one camera');
    await annas.getByTestId('camera-front').check();
    await expectAccessible(annas);
    await annas.getByTestId('account-submit').click();
    await expect(person(annas, 'eve')).toContainText('Viewer, Front door');
    await expect(person(annas, 'eve')).toContainText('Not signed in anywhere.');

    const eve = await signedIn(browser, box, 'eve');
    const eves = await eve.newPage();
    await eves.goto('/live');
    await expect(eves.getByTestId('tile-front')).toBeVisible();
    await expect(eves.getByTestId('tile-yard')).toHaveCount(0);
    await expect(playing(eves)).toHaveCount(1);

    // What they are sent and why, since when, how their connection is.
    const eveWatches = annas.getByTestId('watching').filter({ hasText: 'eve' });
    await expect(eveWatches).toContainText(/Front door, (small|full) picture.*, since/);
    await expect(eveWatches).toContainText(
      /127\.0\.0\.1:\d+, direct, .*\d (k|M)bit\/s, .*lost, \d+ ms there and back, .*sent/,
    );
    await lookAt(annas, 'watching');
    await expectAccessible(annas);
    await annas.getByRole('button', { name: 'Cut off eve (Chrome on Linux)' }).click();
    await expect(annas.getByTestId('is-cut-off')).toContainText('by anna');
    await expect(annas.getByText('For 10 minutes there are no new ones')).toBeVisible();
    const told = eves.getByText(/^anna cut you off until \d/);
    await expect(told).toBeVisible();
    await expect(playing(eves)).toHaveCount(0);
    await eves.screenshot({ path: 'test-results/shots/cut-off-live.png' });
    // By another way: loading the page again, the camera's own page, a still, signing in again.
    await eves.goto('/camera/front');
    await expect(told).toBeVisible();
    const still = await eves.request.get('/api/v1/cameras/front/snapshot.jpg');
    expect([still.status(), (await still.json()).cut_off.by]).toEqual([403, 'anna']);
    const again = await signedIn(browser, box, 'eve');
    expect((await again.request.get('/api/v1/cameras/front/snapshot.jpg')).status()).toBe(403);
    await again.close();

    await annas.reload();
    await expect(person(annas, 'eve')).toContainText('cut off until');
    await annas.getByTestId('let-in').first().click();
    await expect(annas.getByTestId('is-cut-off')).toHaveCount(0);
    // It comes back by itself.
    await expect(playing(eves)).toHaveCount(1);
    silent();
  } finally {
    await box.stop();
  }
});

test('two devices of the same name are told apart, renamed, and removed with what else is to be done', async ({
  browser,
}) => {
  const { box, token } = await ownedBox();
  try {
    await box.call('POST', '/api/v1/users', token, {
      name: 'eve',
      password: PASSWORD,
      role: 'viewer',
    });
    const [first, second] = [await signedIn(browser, box, 'eve'), await signedIn(browser, box, 'eve')];
    const annas = await (await signedIn(browser, box, 'anna')).newPage();
    const silent = expectSilence(annas);
    await annas.goto('/system/people');
    const devices = person(annas, 'eve').getByRole('button', {
      name: 'Change Chrome on Linux of eve',
    });
    await expect(devices).toHaveCount(2);
    await devices.first().click();
    await annas.getByTestId('device-name').fill('Kitchen tablet');
    await annas.getByTestId('device-rename').click();
    await expect(person(annas, 'eve')).toContainText('Kitchen tablet');
    await expect(devices).toHaveCount(1);

    await devices.click();
    await annas.getByTestId('device-remove').click();
    const dialog = annas.getByTestId('remove-device-dialog');
    await expect(dialog.getByRole('heading')).toHaveText('Remove Chrome on Linux of eve?');
    await expect(dialog).toContainText('whoever knows eve’s password can sign in on it again');
    await expectAccessible(annas);
    await annas.getByTestId('how-password').check();
    await annas.getByTestId('device-password').fill('another long password');
    await annas.getByTestId('device-remove-confirm').click();
    await expect(person(annas, 'eve')).toContainText('Not signed in anywhere.');
    for (const context of [first, second])
      expect((await context.request.get('/api/v1/me')).status()).toBe(401);
    const old = await first.request.post('/api/v1/session', {
      data: { username: 'eve', password: PASSWORD },
      headers: { origin: box.url },
    });
    expect(old.status()).toBe(401);

    // Everybody changes their own password and the names of their own devices.
    const eves = await (await signedIn(browser, box, 'eve', 'another long password')).newPage();
    const quiet = expectSilence(eves);
    await eves.goto('/system/device');
    await expect(eves.getByTestId('system-part-people')).toHaveCount(0);
    await eves.getByTestId('own-password').click();
    await eves.getByTestId('password-current').fill('another long password');
    await eves.getByTestId('password-next').fill('a third long password');
    await expectAccessible(eves);
    await eves.getByTestId('password-submit').click();
    await expect(eves.getByTestId('password-changed')).toBeVisible();
    await eves.getByRole('button', { name: 'Done' }).click();
    await eves.getByRole('button', { name: 'Change Chrome on Linux of eve' }).click();
    await eves.getByTestId('device-name').fill('Laptop');
    await eves.getByTestId('device-rename').click();
    await expect(eves.getByText('This is Laptop, signed in as eve.')).toBeVisible();

    quiet();

    // The account goes with the device.
    await annas.reload();
    await annas.getByRole('button', { name: 'Change Laptop of eve' }).click();
    await annas.getByTestId('device-remove').click();
    await annas.getByTestId('how-account').check();
    await annas.getByTestId('device-remove-confirm').click();
    await expect(person(annas, 'eve')).toHaveCount(0);
    silent();
  } finally {
    await box.stop();
  }
});

test('a phone is invited for live pictures alone, by a link that is shared', async ({ browser }) => {
  const { box } = await ownedBox();
  try {
    const annas = await (await signedIn(browser, box, 'anna')).newPage();
    await annas.addInitScript(() => {
      const shared: ShareData[] = [];
      Object.assign(window, { shared });
      Object.assign(navigator, {
        share: async (data: ShareData) => void shared.push(data),
      });
    });
    await annas.setViewportSize(SIZES.phone);
    await annas.goto('/system/people');
    await annas.getByTestId('add-phone').click();
    await annas.getByTestId('cameras-some').check();
    await annas.getByTestId('camera-yard').check();
    await annas.getByTestId('live-only').check();
    await annas.getByTestId('until').fill('2020-01-01T10:00');
    await annas.getByTestId('make-code').click();
    await expect(annas.getByTestId('pairing-code')).toHaveCount(0);
    await annas.getByTestId('until').fill('2099-01-01T10:00');
    await annas.getByTestId('make-code').click();
    const digits = await annas.getByTestId('pairing-code').innerText();
    await annas.getByTestId('share-invitation').click();
    const shared = await annas.evaluate(() => (window as unknown as { shared: ShareData[] }).shared);
    expect(shared[0]?.url).toContain(`/pair#pair=${digits.replace(/\D/g, '')}`);
    expect(shared[0]?.text).toContain('Your browser will warn first');
    await annas.getByText('What the phone will show first').click();
    await expectAccessible(annas);

    const guest = await browser.newContext({
      ignoreHTTPSErrors: true,
      baseURL: box.url,
    });
    const guests = await guest.newPage();
    const silent = expectSilence(guests);
    await guests.goto('/pair');
    await typeCode(guests, digits.replace(/\D/g, ''));
    await expect(annas.getByTestId('add-phone-paired')).toBeVisible();
    await annas.getByRole('button', { name: 'Done' }).click();
    await expect(annas.getByTestId('lone-devices')).toContainText('Viewer, Yard, live only, until');
    await guests.getByTestId('to-live').click();
    await expect(guests.getByTestId('tile-yard')).toBeVisible();
    await expect(guests.getByTestId('tile-front')).toHaveCount(0);
    await expect(playing(guests)).toHaveCount(1);
    await expect(guests.getByTestId('nav-events')).toHaveCount(0);
    await guests.getByTestId('tile-yard').click();
    await expect(playing(guests)).toHaveCount(1);
    await expect(guests.getByTestId('save-clip')).toHaveCount(0);
    await guests.goto('/system/device');
    await expect(guests.getByText(/^It ends /)).toBeVisible();
    silent();
  } finally {
    await box.stop();
  }
});

test('a player gets a password for some cameras, and what other programs take', async ({ browser }) => {
  const { box } = await ownedBox();
  try {
    const context = await signedIn(browser, box, 'anna');
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], {
      origin: box.url,
    });
    const page = await context.newPage();
    const silent = expectSilence(page);
    await page.setViewportSize(SIZES.phone);
    await page.goto('/system/people');
    await page.getByTestId('add-stream-password').click();
    await page.getByTestId('player-name').fill('recorder');
    await page.getByTestId('cameras-some').check();
    await page.getByTestId('camera-front').check();
    await page.getByTestId('player-submit').click();
    const dialog = page.getByTestId('player-dialog');
    await expect(dialog.getByTestId('player-camera').locator('option')).toHaveText(['Front door']);
    await expect(dialog).toContainText(/rtsp:\/\/recorder:[0-9a-f]{32}@.*\/front/);
    await dialog.getByTestId('player-stream').selectOption('sub');
    await expect(dialog).toContainText(/\/front\/sub/);
    await dialog.getByText('For go2rtc').click();
    await dialog.getByRole('button', { name: /^Copy: Into go2rtc/ }).click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(
      /^streams:\n {2}front: rtsp:.*\n {2}front_small: rtsp:.*\/sub$/,
    );
    await dialog.getByText('For Home Assistant').click();
    await expect(dialog).toContainText('platform: ffmpeg');
    expect(await dialog.evaluate((e) => e.scrollWidth <= e.clientWidth)).toBe(true);
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await expect(page.getByTestId('player-recorder')).toContainText('Front door');
    silent();
  } finally {
    await box.stop();
  }
});

test('nobody, one and twelve people stand still and fit', async ({ browser }) => {
  const box = await startBox(HOUSE);
  try {
    const paired = await box.call('POST', '/api/v1/pair', undefined, {
      otp: box.otp,
      device_name: 'tests',
    });
    const { token } = paired.json;
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      baseURL: box.url,
    });
    await context.addCookies([
      {
        name: '__Host-perch',
        value: token,
        url: box.url,
        secure: true,
        httpOnly: true,
        sameSite: 'Strict',
      },
    ]);
    let made = 0;
    for (const people of [0, 1, 12]) {
      for (; made < people; made += 1) {
        const role = made === 0 ? 'admin' : 'viewer';
        const limits = made % 3 === 2 ? { cameras: ['front'], live_only: true } : {};
        const name = made === 0 ? 'anna' : `a-guest-with-a-long-name-${made}`;
        await box.call('POST', '/api/v1/users', token, {
          name,
          password: PASSWORD,
          role,
          ...limits,
        });
      }
      for (const [size, viewport] of Object.entries(SIZES)) {
        const page = await context.newPage();
        await page.emulateMedia({
          colorScheme: size === 'phone' ? 'dark' : 'light',
        });
        await page.setViewportSize(viewport);
        await page.addInitScript(() => {
          Object.assign(window, { shifted: 0 });
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries() as (PerformanceEntry & {
              value: number;
            })[])
              (window as unknown as { shifted: number }).shifted += entry.value;
          }).observe({ type: 'layout-shift', buffered: true });
        });
        await page.goto('/system/people');
        await expect(page.locator('[data-testid^=user-]')).toHaveCount(people);
        await expect(page.getByRole('heading', { name: 'Who is watching now' })).toBeVisible();
        // Who watches is asked for again.
        await page.waitForResponse((answer) => answer.url().endsWith('/api/v1/live'));
        const { shifted, overflows } = await page.evaluate(() => ({
          shifted: (window as unknown as { shifted: number }).shifted,
          overflows: document.documentElement.scrollWidth > innerWidth,
        }));
        expect(shifted, `${people} people, ${size}`).toBeLessThan(MOST_SHIFT);
        expect(overflows, `${people} people, ${size}`).toBe(false);
        await expectAccessible(page);
        // Last: a picture of the whole page makes the window larger, which moves things.
        await page.screenshot({
          path: `test-results/shots/people-${people}-${size}.png`,
          fullPage: true,
        });
        await page.close();
      }
    }
  } finally {
    await box.stop();
  }
});
