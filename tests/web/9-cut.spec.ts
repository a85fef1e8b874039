// A link that is cut for some seconds, and a device whose network changes: the picture comes back within the same session, without a reload.
// The browser has a network of its own (a namespace), so this needs root.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type Page, chromium } from '@playwright/test';
import { type Box, startBox } from './box';
import { CHROMIUM } from './chromium.mjs';
import { NOBODY, expect, pairWith, received, test, watchPeers } from './steps';

test.use({ storageState: NOBODY });
test.describe.configure({ mode: 'serial' });

const [SPACE, HERE, THERE] = [`cut${process.pid}`, `ch${process.pid}`, `ct${process.pid}`];
const BOX = '198.51.100.1';
const ip = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'pipe', 'pipe'] });

function hasNamespaces(): boolean {
  try {
    ip('netns', 'add', SPACE);
    return true;
  } catch {
    return false;
  }
}

let box: Box;
let browser: Browser;
let page: Page;
let token: string;
const folder = mkdtempSync(join(tmpdir(), 'perch-cut-'));

test.beforeAll(async () => {
  test.skip(!hasNamespaces(), 'network namespaces need root');
  ip('link', 'add', HERE, 'type', 'veth', 'peer', 'name', THERE, 'netns', SPACE);
  ip('addr', 'add', `${BOX}/24`, 'dev', HERE);
  ip('link', 'set', HERE, 'up');
  ip('-n', SPACE, 'link', 'set', 'lo', 'up');
  ip('-n', SPACE, 'addr', 'add', '198.51.100.2/24', 'dev', THERE);
  ip('-n', SPACE, 'link', 'set', THERE, 'up');
  box = await startBox(
    `
[[camera]]
id = "door"
name = "Front door"
source = "test"
width = 640
height = 360
fps = 20
bitrate_kbps = 600
record = { mode = "off" }
motion = { enabled = false }`,
    BOX,
  );
  const inside = join(folder, 'chromium');
  writeFileSync(inside, `#!/bin/sh\nexec ip netns exec ${SPACE} ${CHROMIUM.executablePath} "$@"\n`);
  chmodSync(inside, 0o755);
  browser = await chromium.launch({ ...CHROMIUM, executablePath: inside });
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  // The tests' own requests go from here, the page's from there.
  token = await pairWith(box, context);
  page = await context.newPage();
  await watchPeers(page);
  await page.goto(`${box.url}/camera/door`);
  await expect.poll(() => frames()).toBeGreaterThan(20);
});

test.afterAll(async () => {
  await browser?.close();
  await box?.stop();
  for (const words of [
    ['link', 'del', HERE],
    ['netns', 'del', SPACE],
  ]) {
    try {
      ip(...words);
    } catch {
      // It was not made.
    }
  }
  rmSync(folder, { recursive: true, force: true });
});

const frames = async () => (await received(page)).reduce((sum, row) => sum + row.framesDecoded, 0);
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

async function lease(): Promise<string> {
  const { json } = await box.call('GET', '/api/v1/live', token);
  const leases = json.sessions.map((session: { lease: string }) => session.lease);
  expect(leases).toHaveLength(1);
  return leases[0];
}

/** Milliseconds until the page's picture moves again. */
async function untilItMoves(): Promise<number> {
  const beganMs = Date.now();
  const before = await frames();
  while ((await frames()) <= before + 2) {
    if (Date.now() - beganMs > 30_000) throw new Error('the picture stays still');
    await sleep(20);
  }
  return Date.now() - beganMs;
}

test('a link that was cut for five seconds: the same session shows pictures again', async () => {
  const before = await lease();
  const mark = await page.evaluate(() => Object.assign(window, { mark: Math.random() }).mark);
  ip('link', 'set', HERE, 'down');
  await sleep(5000);
  expect(await page.getByTestId('live-video').getAttribute('data-phase')).toBe('playing');
  ip('link', 'set', HERE, 'up');
  const tookMs = await untilItMoves();
  console.log(`after a cut of 5 s the picture moved again after ${tookMs} ms`);
  expect(tookMs).toBeLessThan(4000);
  expect(await lease()).toBe(before);
  expect(await page.evaluate(() => (window as unknown as { mark: number }).mark)).toBe(mark);
});

test('another network: the same session shows pictures again', async () => {
  const before = await lease();
  ip('-n', SPACE, 'addr', 'del', '198.51.100.2/24', 'dev', THERE);
  ip('-n', SPACE, 'addr', 'add', '198.51.100.77/24', 'dev', THERE);
  const beganMs = Date.now();
  const remote = async () => (await box.call('GET', '/api/v1/live', token)).json.sessions[0]?.remote;
  // Pictures that were on their way are shown for a moment more: only then is it seen to move.
  await expect.poll(remote, { timeout: 12_000, intervals: [50] }).toContain('198.51.100.77');
  await untilItMoves();
  console.log(`in another network the picture moved again after ${Date.now() - beganMs} ms`);
  expect(await lease()).toBe(before);
});
