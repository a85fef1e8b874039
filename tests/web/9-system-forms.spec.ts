// The forms of System opened, filled, refused and confirmed, each looked at in both widths and by axe: backup, restore, network, the log's filters.
import { startBox } from './box';
import { NOBODY, expect, expectSilence, lookAt, pairWith, test } from './steps';

test.use({ storageState: NOBODY });

const HALL = `
[[camera]]
id = "hall"
name = "Hall"
source = "test"
width = 320
height = 180
record = { mode = "off" }
motion = { enabled = false }`;
const PASSWORD = 'a password of the backup';

test('backup, restore, network and log: filled, refused and confirmed', async ({ browser }, testInfo) => {
  test.slow();
  const box = await startBox(HALL);
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, acceptDownloads: true });
    await pairWith(box, context);
    const page = await context.newPage();
    const silent = expectSilence(page, { status: 400, file: /\/backup\/restore\?/ });

    await page.goto(`${box.url}/system/box`);
    const card = page.locator('section', { has: page.getByRole('heading', { name: 'Backup and help' }) });
    await page.getByTestId('make-backup').click();
    await page.getByTestId('backup-password').fill('short');
    await page.getByTestId('make-backup').click();
    await expect(card.getByRole('alert')).toContainText('At least 10 characters');
    await lookAt(page, 'system-backup-refused');
    await page.getByTestId('backup-password').fill(PASSWORD);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByTestId('make-backup').click(),
    ]);
    await expect(card.getByRole('status')).toContainText('The backup was made');
    const file = testInfo.outputPath('backup');
    await download.saveAs(file);

    await page.getByLabel('File', { exact: true }).setInputFiles(file);
    await page.getByLabel('Its password').fill('another password');
    await page.getByTestId('look-backup').click();
    await expect(card.getByRole('alert')).toBeVisible();
    await lookAt(page, 'system-restore-refused');
    await page.getByLabel('Its password').fill(PASSWORD);
    await page.getByTestId('look-backup').click();
    const dialog = page.getByRole('dialog');
    await expect(dialog).toContainText('1 camera, 1 account');
    await lookAt(page, 'system-restore');
    await page.keyboard.press('Escape');
    await expect(dialog).toHaveCount(0);

    // As on the card image, where the system is the box's own.
    await page.route('**/api/v1/system', async (route) => {
      if (route.request().method() !== 'GET') return route.abort();
      const answer = await route.fetch();
      const facts = {
        ...(await answer.json()),
        not_ours: null,
        hostname: 'perch',
        ssid: 'Home',
        signal_dbm: -62,
      };
      return route.fulfill({ response: answer, json: facts });
    });
    await page.reload();
    await page.getByTestId('system-wifi').click();
    await expect(page.getByText('Name the network and the country, in two letters.')).toBeVisible();
    await page.getByLabel('Name in the network').fill('perch-at-home');
    await page.getByLabel('Network', { exact: true }).fill('A network with a rather long name');
    await page.getByLabel('Country').fill('ch');
    await expect(page.getByText('Name the network and the country, in two letters.')).toHaveCount(0);
    await page.getByLabel('Public key').fill(`ssh-ed25519 ${'A'.repeat(68)} anna@laptop`);
    await lookAt(page, 'system-network');

    await page.getByTestId('system-part-log').click();
    await page.getByLabel('Weight').selectOption('warn');
    await page.getByLabel('Camera').selectOption('hall');
    await page.getByLabel('Who').fill('anna');
    await page.getByTestId('log-what').fill('nothing has this in it');
    await expect(page.getByText('No line fits.')).toBeVisible();
    await lookAt(page, 'system-log-filtered');
    silent();
    await context.close();
  } finally {
    await box.stop();
  }
});
