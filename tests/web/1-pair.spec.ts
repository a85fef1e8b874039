// First start: an unclaimed box, its one-time password, a name for the device, an account.
import { startBox } from './box';
import { NOBODY, USER, expect, expectAccessible, signIn, test, typeCode } from './steps';

test.use({ storageState: NOBODY });

test('an unclaimed box leads to pairing, counts tries, and pairs with the right code', async ({ page }) => {
  const box = await startBox(`
[[camera]]
id = "door"
source = "test"
width = 320
height = 180
record = { mode = "off" }
motion = { enabled = false }`);
  try {
    await page.goto(`${box.url}/`);
    await expect(page.getByText('This box is not yet yours')).toBeVisible();
    await expectAccessible(page);
    for (const [name, size] of Object.entries({
      phone: { width: 360, height: 740 },
      desktop: { width: 1440, height: 900 },
    })) {
      await page.setViewportSize(size);
      await page.screenshot({ path: `test-results/shots/pair-${name}.png` });
    }
    const wrong = box.otp.replace(/\d/g, (d) => String((Number(d) + 1) % 10));
    await typeCode(page, wrong);
    await expect(page.getByText(/4 tries/i)).toBeVisible();
    await typeCode(page, box.otp);
    await page.getByLabel('Name', { exact: true }).fill(USER.name);
    await page.getByLabel('Password', { exact: true }).fill('too short');
    await page.getByRole('button', { name: 'Create account' }).click();
    await expect(page.getByRole('alert')).toContainText('at least 10 characters');
    await page.getByLabel('Password', { exact: true }).fill(USER.password);
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Create account' }).click();
    await expect(page.getByText('About the certificate warning')).toBeVisible();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Go to the cameras' }).click();
    await expect(page.getByTestId('nav-live').first()).toBeVisible();
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
