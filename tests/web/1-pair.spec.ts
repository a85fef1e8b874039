// First start: an unclaimed box, its one-time password, a name for the device, an account.
import { type Page, chromium } from '@playwright/test';
import { startBox } from './box';
import { CHROMIUM } from './chromium.mjs';
import { NOBODY, USER, expect, expectAccessible, pairWith, signIn, test, typeCode } from './steps';

test.use({ storageState: NOBODY });

const DOOR = `
[[camera]]
id = "door"
source = "test"
width = 320
height = 180
record = { mode = "off" }
motion = { enabled = false }`;

const SIZES = {
  phone: { width: 360, height: 740 },
  landscape: { width: 740, height: 360 },
  desktop: { width: 1440, height: 900 },
  wall: { width: 2560, height: 1440 },
};

/** Pictures of the page in each size and colour, with what must hold in each. */
async function lookAt(page: Page, name: string, button?: string) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme: size === 'phone' ? 'dark' : 'light' });
    await page.screenshot({ path: `test-results/shots/${name}-${size}.png` });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow, `${name} is not wider than ${size}`).toBeLessThanOrEqual(0);
    if (!button) continue;
    const box = (await page.getByTestId(button).boundingBox())!;
    expect(box.y + box.height, `the button is in view: ${size}`).toBeLessThanOrEqual(viewport.height);
    if (size === 'wall') expect(box.y, 'in the middle').toBeGreaterThan(viewport.height / 3);
  }
  await expectAccessible(page);
}

test('an unclaimed box leads to pairing, counts tries, and pairs with the right code', async ({ page }) => {
  const box = await startBox(DOOR);
  try {
    await page.goto(`${box.url}/`);
    await expect(page.getByText('This box is not yet yours')).toBeVisible();
    // A stranger is told where they are, and not whose box it will be.
    await expect(page.getByTestId('box-name')).toHaveText('localhost');
    await expect(page.getByTestId('otp-0')).toBeFocused();
    await lookAt(page, 'pair', 'pair-submit');

    await page.getByTestId('pair-submit').click();
    await expect(page.getByRole('alert')).toHaveText('Type all 8 digits of the one-time password.');
    await expect(page.getByTestId('otp-0')).toBeFocused();

    // What somebody without a shell can do comes first.
    await expect(page.getByText('Switch the box off and on: a new one appears on its screen.')).toBeVisible();
    await expect(page.getByText('perch pair')).toBeHidden();
    await page.getByText('No screen, or a shell?').click();
    await expect(page.getByText('perch-setup.toml')).toBeVisible();
    await expect(page.getByText('run “perch pair” on the box')).toBeVisible();

    const wrong = box.otp.replace(/\d/g, (d) => String((Number(d) + 1) % 10));
    await typeCode(page, wrong);
    await expect(page.getByText(/4 tries/i)).toBeVisible();
    await expect(page.getByTestId('otp-0')).toBeFocused();
    const selected = await page.evaluate(() => getSelection()?.toString());
    expect(selected, 'typing begins anew').toBe(wrong[0]);
    // One digit is corrected: nothing is sent before somebody says so.
    await page.getByTestId('otp-3').fill(box.otp[3]!);
    await page.getByTestId('pair-submit').click();
    await expect(page.getByText(/3 tries/i)).toBeVisible();

    // Copied as it is shown, and pasted wherever somebody is.
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: box.url });
    const shown = `${box.otp.slice(0, 4)} ${box.otp.slice(4)}`;
    await page.evaluate((text) => navigator.clipboard.writeText(text), shown);
    await page.getByTestId('otp-2').click();
    await page.keyboard.press('ControlOrMeta+V');
    await expect(page.getByText('Without an account only this device gets in.')).toBeVisible();
    const name = page.getByLabel('Name', { exact: true });
    await name.fill('anna/müller');
    await expect(page.getByText('A name cannot have “/” in it.')).toBeVisible();
    await expect(name).toHaveAttribute('aria-invalid', 'true');
    const password = page.getByLabel('Password', { exact: true });
    await password.fill(USER.password);
    await page.getByRole('button', { name: 'Create account' }).click();
    await expect(name).toBeFocused();
    await name.fill('Anna Müller');
    await expect(name).toHaveAttribute('aria-invalid', 'false');
    await password.fill('too short');
    await expect(page.getByText('1 more character needed.')).toBeVisible();
    await page.getByRole('button', { name: 'Create account' }).click();
    await expect(page.getByRole('alert')).toContainText('at least 10 characters');
    await password.fill(USER.password);
    await expect(page.getByText('Strong.')).toBeVisible();
    await lookAt(page, 'account', 'account-submit');
    await page.getByRole('button', { name: 'Create account' }).click();
    await expect(page.getByText('About the certificate warning')).toBeVisible();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Go to the cameras' }).click();
    await expect(page.getByTestId('nav-live').first()).toBeVisible();

    // Now it has a name, and whoever signs in sees which box this is and how to get in without a password.
    await page.context().clearCookies();
    await page.goto(`${box.url}/login`);
    await expect(page.getByTestId('box-name')).toHaveText('Test box');
    await page.getByText('Forgot your password?').click();
    await expect(page.getByText('perch-reset-accounts')).toBeVisible();
    await page.getByText('Forgot your password?').click();
    await lookAt(page, 'login', 'login-submit');
    await name.fill('anna MÜLLER');
    await password.fill(USER.password);
    await page.getByTestId('login-submit').click();
    await expect(page.getByTestId('nav-live').first()).toBeVisible();
  } finally {
    await box.stop();
  }
});

test('too many wrong passwords say for how long to wait, and then let in', async ({ page }) => {
  const box = await startBox(DOOR);
  try {
    await pairWith(box, page.context());
    await page.context().clearCookies();
    // What others tried at this address counts as well.
    let status = 0;
    for (let tries = 0; tries < 30 && status !== 429; tries++) {
      const wrong = { username: 'somebody', password: 'a wrong password', device_name: 'x' };
      ({ status } = await box.call('POST', '/api/v1/session', undefined, wrong));
    }
    expect(status).toBe(429);
    await page.goto(`${box.url}/login`);
    await page.getByLabel('Name', { exact: true }).fill(USER.name);
    await page.getByLabel('Password', { exact: true }).fill('a wrong password');
    await page.getByTestId('login-submit').click();
    const told = page.getByRole('alert');
    await expect(told).toHaveText(/^Too many tries\. Wait (\d+ s|1 min) and try again\.$/);
    await expect(page.getByTestId('login-password')).toHaveValue('a wrong password');
    await expectAccessible(page);
    await page.setViewportSize(SIZES.phone);
    await page.screenshot({ path: 'test-results/shots/login-wait.png' });
    const seconds = Number(/(\d+) s/.exec((await told.textContent()) ?? '')?.[1] ?? 60);
    await page.waitForTimeout(seconds * 1000);
    await page.getByLabel('Password', { exact: true }).fill(USER.password);
    await page.getByTestId('login-submit').click();
    await expect(page.getByTestId('nav-live').first()).toBeVisible();
  } finally {
    await box.stop();
  }
});

test('why the browser warned is explained to anybody, with the authority for this system', async ({
  page,
}) => {
  await page.goto('/login');
  await page.getByTestId('why-warned').click();
  const dialog = page.getByRole('dialog', { name: 'About the certificate warning' });
  await expect(dialog).toBeVisible();
  const file = await dialog.getByTestId('ca').getAttribute('href');
  expect(file).toBe('/api/v1/ca.crt');
  const answer = await page.request.get(file!);
  expect(answer.status()).toBe(200);
  expect(answer.headers()['content-type']).toBe('application/x-x509-ca-cert');
  await dialog.getByText('Steps for other systems').click();
  await expectAccessible(page);
  await page.setViewportSize(SIZES.phone);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: 'test-results/shots/why-phone.png' });
  await page.setViewportSize(SIZES.desktop);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.screenshot({ path: 'test-results/shots/why-desktop.png' });
});

test('an address with a code pairs at once, and so does a scanned code where the browser reads none', async ({
  page,
  browser,
}) => {
  const box = await startBox(DOOR);
  try {
    await page.goto(`${box.url}/pair#pair=${box.otp}`);
    await expect(page.getByTestId('skip-account')).toBeVisible();
    expect(new URL(page.url()).hash, 'the code is in no history').toBe('');
    await page.getByTestId('skip-account').click();
    const made = await page.request.post(`${box.url}/api/v1/pairing-codes`, {
      data: { role: 'viewer' },
      headers: { origin: box.url },
    });
    const { qr_svg: qr } = (await made.json()) as { qr_svg: string };

    const guest = await browser.newContext({ ignoreHTTPSErrors: true });
    const phone = await guest.newPage();
    // A camera that sees the code, in a browser without a reader of its own.
    await phone.addInitScript((svg) => {
      Object.assign(window, { BarcodeDetector: undefined });
      navigator.mediaDevices.getUserMedia = async () => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 480 });
        const picture = new Image();
        picture.src = `data:image/svg+xml;base64,${btoa(svg)}`;
        await picture.decode();
        setInterval(() => {
          const draw = canvas.getContext('2d')!;
          draw.fillStyle = '#888';
          draw.fillRect(0, 0, 640, 480);
          draw.drawImage(picture, 150, 60, 340, 340);
        }, 50);
        return canvas.captureStream(10);
      };
    }, qr);
    await phone.goto(`${box.url}/pair`);
    await phone.getByRole('button', { name: 'Scan the QR code' }).click();
    await expect(phone.getByTestId('to-live').or(phone.getByTestId('nav-live').first())).toBeVisible();
    await guest.close();
  } finally {
    await box.stop();
  }
});

test('a wrong password is refused in plain words, the right one signs in', async ({ page }) => {
  await page.goto('/login');
  await page.getByLabel('Name', { exact: true }).fill(USER.name);
  await page.getByLabel('Password', { exact: true }).fill('not the password');
  await page.getByRole('button', { name: /sign in/i }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await expectAccessible(page);
  await signIn(page);
});

test('without a session every page leads to the login page', async ({ page }) => {
  for (const path of ['/', '/events', '/system', '/system/people', '/camera/test', '/foo/bar']) {
    await page.goto(path);
    await expect(page.getByRole('button', { name: /sign in/i })).toBeVisible();
  }
});

test('the page tells whether this device trusts the box now', async ({ page }) => {
  // These tests start Chromium so that it takes every certificate for a trusted one.
  await signIn(page);
  await page.goto('/system/device');
  const trust = page.getByTestId('trust');
  await expect(trust).toHaveAttribute('data-trust', 'trusted');
  await page.getByText('What the box shows').click();
  const own = page.getByTestId('certificate-own');
  await expect(own).toContainText('the box itself');
  await expect(own).toContainText('localhost');
  await expectAccessible(page);
  await page.screenshot({ path: 'test-results/shots/certificate-desktop.png', fullPage: true });

  // One that was only told to go on, as by the button of the warning.
  const warned = await chromium.launch({
    ...CHROMIUM,
    args: CHROMIUM.args.filter((arg) => arg !== '--ignore-certificate-errors'),
  });
  try {
    const storageState = JSON.parse(process.env.PERCH_TEST_SESSION ?? 'null');
    const context = await warned.newContext({
      ignoreHTTPSErrors: true,
      storageState,
      viewport: SIZES.phone,
      colorScheme: 'dark',
    });
    const phone = await context.newPage();
    await phone.goto(`${process.env.PERCH_TEST_URL}/system/device`);
    await expect(phone.getByTestId('trust')).toHaveAttribute('data-trust', 'untrusted');
    await expect(phone.getByText('Only with trust: the page as an app')).toBeVisible();
    await expect(phone.getByTestId('ca')).toBeVisible();
    await phone.getByTestId('trust').scrollIntoViewIfNeeded();
    await phone.screenshot({ path: 'test-results/shots/certificate-phone.png', fullPage: true });
    const overflow = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await expectAccessible(phone);
  } finally {
    await warned.close();
  }
});
