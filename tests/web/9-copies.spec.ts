// Copies off the box: a store is tried and added by the page, recordings arrive there, a copy is opened in the browser, the store is removed.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { BrowserContext } from '@playwright/test';
import { type Box, startBox } from './box';
import { NOBODY, expect, expectAccessible, expectSilence, lookAt, pairWith, test } from './steps';

test.use({ storageState: NOBODY });

const STORE =
  process.env.PERCH_TEST_STORES ?? resolve(import.meta.dirname, '../../target/debug/perch-test-stores');

/** Until the first recordings settled and were copied. */
const SETTLED_MS = 200_000;

let box: Box;
let owner: BrowserContext;
let store: ChildProcess;
let endpoint = '';
const folder = mkdtempSync(join(tmpdir(), 'perch-copies-'));

test.beforeAll(async ({ browser }) => {
  mkdirSync(join(folder, 'copies'));
  store = spawn(STORE, [folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  endpoint = await new Promise((done, fail) => {
    store.stdout!.once('data', (line: Buffer) => done(line.toString().trim()));
    store.once('error', fail);
  });
  box = await startBox(`
[[camera]]
id = "door"
name = "Front door"
source = "test"
width = 640
height = 360
fps = 10
record = { mode = "continuous", segment_max_s = 5 }
motion = { enabled = false }`);
  owner = await browser.newContext({
    ignoreHTTPSErrors: true,
    baseURL: box.url,
  });
  await pairWith(box, owner);
});

test.afterAll(async () => {
  await owner?.close();
  await box?.stop();
  store?.kill();
  rmSync(folder, { recursive: true, force: true });
});

const recordings = () =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.mp4') && !name.includes('-parts'),
  );

test('the owner adds a store, sees copies arrive, opens one and removes the store', async () => {
  // A recording settles before it is copied: nothing cuts it back any more then.
  test.setTimeout(300_000);
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
  await page.close();
});
