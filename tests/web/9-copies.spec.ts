// Copies off the box: a store is tried and added by the page, recordings arrive there, a copy is opened in the browser, the store is removed.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, BrowserContext } from '@playwright/test';
import { type Box, startBox } from './box';
import { NOBODY, expect, expectAccessible, expectSilence, lookAt, pairWith, test } from './steps';

test.use({ storageState: NOBODY });

const STORE =
  process.env.PERCH_TEST_STORES ?? resolve(import.meta.dirname, '../../target/debug/perch-test-stores');

/** Until the first recordings settled and were copied. */
const SETTLED_MS = 200_000;

let store: ChildProcess;
let endpoint = '';
/** The same store, with a certificate that has run out. */
let overEndpoint = '';
const folder = mkdtempSync(join(tmpdir(), 'perch-copies-'));

test.beforeAll(async () => {
  mkdirSync(join(folder, 'copies'));
  store = spawn(STORE, [folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  [endpoint, overEndpoint] = await new Promise<[string, string]>((done, fail) => {
    let said = '';
    store.stdout!.on('data', (piece: Buffer) => {
      said += piece;
      const [first, second, rest] = said.split('\n');
      if (rest !== undefined) done([first!, second!]);
    });
    store.once('error', fail);
  });
});

test.afterAll(() => {
  store?.kill();
  rmSync(folder, { recursive: true, force: true });
});

/** A box that records, and its owner. */
async function boxWith(
  browser: Browser,
  more = '',
): Promise<{ box: Box; owner: BrowserContext; token: string }> {
  const box = await startBox(`
[[camera]]
id = "door"
name = "Front door"
source = "test"
width = 640
height = 360
fps = 10
record = { mode = "continuous", segment_max_s = 5 }
motion = { enabled = false }
${more}`);
  const owner = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: box.url });
  return { box, owner, token: await pairWith(box, owner) };
}

const recordings = () =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.mp4') && !name.includes('-parts'),
  );

test('the owner adds a store, sees copies arrive, opens one and removes the store', async ({ browser }) => {
  // A recording settles before it is copied: nothing cuts it back any more then.
  test.setTimeout(300_000);
  const { box, owner } = await boxWith(browser);
  const page = await owner.newPage();
  const silent = expectSilence(page);
  await page.goto('/system/copies');
  await expect(page.getByText(/Nothing is copied/)).toBeVisible();
  await page.getByTestId('add-store').click();
  await page.getByTestId('store').selectOption('other');
  await page.getByTestId('try-target').click();
  // Each field says what it lacks.
  await expect(page.getByText('Write the address as https://host')).toBeVisible();
  await page.getByTestId('asked-endpoint').fill(endpoint);
  await page.getByTestId('bucket').fill('copies');
  await page.getByTestId('access-key').fill('perch');
  await page.getByTestId('secret-key').fill('not-the-secret');
  await page.getByLabel('What is copied').selectOption('all');
  await page.getByTestId('try-target').click();
  await expect(page.getByTestId('probe-lines')).toContainText(/does not take the access key/i);
  await expect(page.getByTestId('try-target')).toHaveText('Try it');
  await page.getByTestId('secret-key').fill('of-the-tests');
  await page.getByTestId('try-target').click();
  await expect(page.getByTestId('try-target')).toHaveText('Save');
  await lookAt(page, 'copies-tried');
  await page.getByTestId('try-target').click();

  const card = page.getByTestId('copy-store');
  await expect(card).toHaveCount(1);
  await expect(card.getByTestId('copy-state')).toHaveText(/Everything is copied|Copying/, {
    timeout: SETTLED_MS,
  });
  await expect.poll(() => recordings().length, { timeout: SETTLED_MS }).toBeGreaterThan(1);
  await expect(card).toContainText(/\d+ checked/, { timeout: SETTLED_MS });
  // The key that `perch verify` is given, the state in the list of parts, and the hour beneath the timeline.
  await expect(page.getByTestId('evidence-key')).toHaveText(/^[0-9a-f]{64}$/);
  await expect(page.getByTestId('system-part-copies')).toContainText(/Everything is copied|Copying now/);
  const camera = await owner.newPage();
  await camera.goto('/camera/door');
  await expect(camera.getByTestId('timeline-copies')).toContainText(/^Copies, .* recordings? /);
  await lookAt(camera, 'timeline-copies');
  await camera.close();
  await lookAt(page, 'copies');
  await expectAccessible(page);
  // The key is nowhere to be seen.
  expect(box.config()).not.toContain('of-the-tests');
  expect(box.config()).toContain('secret_key_file');

  await page.getByTestId('copy-files').setInputFiles(join(folder, recordings()[0]!));
  await page.getByTestId('open-copy').click();
  const video = page.getByTestId('opened-copy').locator('video');
  await expect
    .poll(() => video.evaluate((v: HTMLVideoElement) => v.readyState > 0 && v.duration > 1 && v.videoWidth))
    .toBe(640);

  await card.getByRole('button', { name: /^Remove/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await expect(page.getByText(/Nothing is copied/)).toBeVisible();
  await expect(page.getByTestId('copy-store')).toHaveCount(0);
  expect(box.config()).not.toContain('[[sync]]');
  expect(recordings().length, 'what is there stays there').toBeGreaterThan(1);
  silent();
  await owner.close();
  await box.stop();
});

test('what is wrong with a store or its key is one sentence, with what to do', async ({ browser }) => {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const { box, owner } = await boxWith(
    browser,
    `
[[sync]]
endpoint = "${overEndpoint}"
bucket = "copies"
access_key_file = "${file('access', 'perch')}"
secret_key_file = "${file('secret', 'of-the-tests')}"
ca_file = "${join(folder, 'authority.pem')}"`,
  );
  try {
    const page = await owner.newPage();
    await page.goto('/system/copies');
    const card = page.getByTestId('copy-store');
    await card.getByRole('button', { name: /^Try it/ }).click();
    await expect(card.getByTestId('probe-lines')).toContainText(/certificate .*has run out/);
    await expect(card.getByTestId('copy-state')).toContainText(/certificate/, { timeout: 60_000 });
    await lookAt(page, 'copies-certificate');

    await page.getByTestId('add-store').click();
    await page.getByTestId('store').selectOption('other');
    await page.getByTestId('asked-endpoint').fill(endpoint);
    const form = page.getByTestId('target-form');
    for (const [access, secret, bucket, says, works] of [
      ['perch', 'another', 'copies', /does not take the access key.*Give the right key/is, false],
      ['nobody', 'of-the-tests', 'copies', /does not take the access key/i, false],
      ['perch', 'of-the-tests', 'not-there', /has no such bucket.*Make it there/is, false],
      ['looks', 'of-the-tests', 'copies', /may not put/i, false],
      ['puts', 'of-the-tests', 'copies', /cannot be verified by reading/i, true],
    ] as const) {
      await page.getByTestId('access-key').fill(access);
      await page.getByTestId('secret-key').fill(secret);
      await page.getByTestId('bucket').fill(bucket);
      await page.getByTestId('try-target').click();
      await expect(form.getByTestId('probe-lines')).toContainText(says);
      if (!works) await expect(form.getByTestId('probe-lines').getByRole('listitem')).toHaveCount(1);
      // What works all the same can be saved.
      await expect(page.getByTestId('try-target')).toHaveText(works ? 'Save' : 'Try it');
    }
    await lookAt(page, 'copies-write-only');

    // A key is made, saved, and proven before anything is encrypted for it.
    await page.getByTestId('encryption-new').check();
    const saved = page.waitForEvent('download');
    await page.getByTestId('make-key').click();
    const text = readFileSync((await (await saved).path())!, 'utf8');
    const [, opens = ''] = /^(AGE-SECRET-KEY-1\S+)$/m.exec(text) ?? [];
    await page.getByTestId('try-target').click();
    await expect(form.getByText(/Show first that you have the key/)).toBeVisible();
    await page.getByTestId('key-tail').fill(opens.slice(20, 26));
    await expect(form.getByText(/The key ends otherwise/)).toBeVisible();
    await lookAt(page, 'copies-key');
    await page.getByTestId('key-tail').fill(opens.slice(-6).toLowerCase());
    await expect(page.getByTestId('key-proven')).toBeVisible();
    await page.getByTestId('opaque').check();
    await lookAt(page, 'copies-key-proven');
    await page.getByTestId('try-target').click();
    await expect(page.getByTestId('try-target')).toHaveText('Save');
    await page.getByTestId('try-target').click();
    await expect(page.getByTestId('copy-store')).toHaveCount(2);
    const [, recipient = ''] = /^# public key: (age1\S+)$/m.exec(text) ?? [];
    expect(box.config()).toContain(`encrypt_to = ["${recipient}"]`);
    expect(box.config()).toContain('opaque = true');
    expect(box.config()).not.toContain('AGE-SECRET-KEY');
    await owner.close();
  } finally {
    await box.stop();
  }
});
