// Live in the page over bad networks: how long the picture stands, and how soon it is the small one and the large one again.
import { type Page, chromium, expect, test } from '@playwright/test';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Box, startBox } from '../box';
import { CHROMIUM } from '../chromium.mjs';
import { pairWith } from '../steps';
import { BOX_FOR_PHONE, BOX_FOR_US, Networks, PLACE } from './namespaces';

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));
/** Each is printed as it is found: it takes minutes. */
const figures = new Proxy<Record<string, number>>(
  {},
  {
    set: (found, name, value) => {
      console.log(`${String(name)}: ${value}`);
      return Reflect.set(found, name, value);
    },
  },
);

/** Notes when pictures are shown, from now on. */
function watchFrames() {
  const shown: number[] = [];
  Object.assign(window, { shown });
  let watched: HTMLVideoElement | undefined;
  const note = () => {
    shown.push(performance.now());
    watched?.requestVideoFrameCallback(note);
  };
  // The page may put another element in its place.
  setInterval(() => {
    const video = document.querySelector<HTMLVideoElement>(
      'video[data-testid=live-video], [data-testid=live-video] video',
    );
    if (video && video !== watched) {
      watched = video;
      video.requestVideoFrameCallback(note);
    }
  }, 50);
}

/** The times between pictures since `sinceMs` ago, milliseconds, the last one up to now. */
const gaps = (page: Page, sinceMs: number) =>
  page.evaluate((since) => {
    const now = performance.now();
    const shown: number[] = Reflect.get(window, 'shown');
    const within = [now - since, ...shown.filter((at) => at > now - since), now];
    return within.slice(1).map((at, n) => at - within[n]!);
  }, sinceMs);

const longest = async (page: Page, sinceMs: number) => Math.round(Math.max(...(await gaps(page, sinceMs))));

/** How many pictures were shown. */
const count = (page: Page) => page.evaluate(() => (Reflect.get(window, 'shown') as number[]).length);

async function p99(page: Page, sinceMs: number) {
  const all = (await gaps(page, sinceMs)).slice(1, -1).sort((a, b) => a - b);
  return all[Math.floor(all.length * 0.99)] ?? NaN;
}

/** Milliseconds until the phone's session is sent `ration`. */
async function until(box: Box, token: string, ration: string, withinMs: number): Promise<number> {
  const began = Date.now();
  for (;;) {
    if ((await rationOf(box, token)) === ration) return Date.now() - began;
    if (Date.now() - began > withinMs) throw new Error(`no ${ration} within ${withinMs} ms`);
    await sleep(50);
  }
}

async function rationOf(box: Box, token: string): Promise<string | undefined> {
  const { json } = await box.call('GET', '/api/v1/live', token);
  const phone = json.sessions.find((s: { remote: string }) => s.remote.startsWith('10.213.0.'));
  return phone?.ration;
}

interface Scene {
  networks: Networks;
  box: Box;
  token: string;
  /** The phone's page, and one whose way stays as it is. */
  page: Page;
  beside: Page;
  /** Until a page shows the camera. */
  playing: (tab: Page) => Promise<void>;
}

/** A box with a busy camera, a phone, and the way between them. */
async function within(isLate: boolean, act: (scene: Scene) => Promise<void>) {
  test.skip(process.getuid?.() !== 0, 'network namespaces need root');
  const folder = mkdtempSync(join(tmpdir(), 'perch-clip-'));
  const clip = join(folder, 'busy.mp4');
  // Pictures that fill their bit rate.
  const busy =
    'videotestsrc num-buffers=600 pattern=zone-plate kx2=12 ky2=12 kt=3 ! video/x-raw,width=1280,height=720,framerate=30/1';
  const made = `${busy} ! x264enc bitrate=4000 speed-preset=ultrafast key-int-max=30 ! h264parse ! mp4mux ! filesink location=${clip}`;
  execFileSync('gst-launch-1.0', ['-q', ...made.split(' ')]);
  const networks = new Networks(isLate);
  const box = await startBox(
    `
[[camera]]
id = "yard"
source = "file:${clip}"
width = 1280
height = 720
fps = 30
bitrate_kbps = 2000
sub = { width = 640, height = 360, fps = 15, bitrate_kbps = 400 }
record = { mode = "off" }
motion = { enabled = false }`,
    BOX_FOR_US,
    PLACE,
  );
  const [ours, theirs] = await Promise.all([
    chromium.launch(CHROMIUM),
    chromium.launch({ ...CHROMIUM, executablePath: networks.chromium }),
  ]);
  try {
    const phoneUrl = box.url.replace(/\/\/[^:]+/, `//${BOX_FOR_PHONE}`);
    const [neighbour, phone] = await Promise.all(
      [ours, theirs].map((browser) => browser.newContext({ ignoreHTTPSErrors: true })),
    );
    if (!neighbour || !phone) throw new Error('no browsers');
    const token = await pairWith(box, neighbour);
    await phone.addInitScript(watchFrames);
    await neighbour.addInitScript(watchFrames);
    const [page, beside] = [await phone.newPage(), await neighbour.newPage()];
    await page.goto(`${phoneUrl}/login`);
    await page.getByLabel('Name', { exact: true }).fill('anna');
    await page.getByLabel('Password', { exact: true }).fill('a long enough password');
    await page.getByRole('button', { name: /sign in/i }).click();
    await expect(page.getByTestId('nav-live').first()).toBeVisible();
    const playing = async (tab: Page) => {
      await tab.goto(`${tab === page ? phoneUrl : box.url}/camera/yard`);
      await expect(tab.getByTestId('live-video')).toHaveAttribute('data-phase', 'playing', {
        timeout: 30_000,
      });
    };
    await act({ networks, box, token, page, beside, playing });
    await phone.close();
  } finally {
    await Promise.allSettled([ours.close(), theirs.close()]);
    await box.stop();
    networks.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function expectAtMost(most: Record<string, number>) {
  for (const [name, bound] of Object.entries(most))
    expect.soft(figures[name], name).toBeLessThanOrEqual(bound);
}

test('live over a way that narrows, loses packets and is cut', async () => {
  await within(false, async ({ networks, box, token, page, beside, playing }) => {
    networks.rate(4);
    await playing(beside);
    await sleep(10_000);
    const before = await p99(beside, 9000);
    await playing(page);
    await until(box, token, 'main', 20_000);
    await sleep(15_000);

    networks.rate(0.8);
    let began = Date.now();
    figures.to_small_ms = await until(box, token, 'sub', 10_000);
    await sleep(8000);
    figures.freeze_as_it_narrows_ms = await longest(page, Date.now() - began);
    await sleep(12_000);
    figures.freeze_on_the_narrow_way_ms = await longest(page, 12_000);
    figures.neighbours_p99_more_ms = Math.round((await p99(beside, Date.now() - began)) - before);
    networks.rate(4);
    figures.to_large_ms = await until(box, token, 'main', 60_000);
    let less = 0;
    for (let s = 0; s < 60; s++) {
      await sleep(1000);
      less += Number((await rationOf(box, token)) !== 'main');
    }
    figures.seconds_of_60_with_less = less;

    networks.loss(5);
    began = Date.now();
    await sleep(20_000);
    figures.freeze_with_5_percent_lost_ms = await longest(page, Date.now() - began);
    networks.loss(0);
    await sleep(5000);

    networks.cut(true);
    await sleep(5000);
    networks.cut(false);
    networks.rate(4);
    began = Date.now();
    const shown = await count(page);
    while ((await count(page)) < shown + 3 && Date.now() - began < 20_000) await sleep(20);
    figures.back_after_a_cut_of_5_s_ms = Date.now() - began;
  });
  expectAtMost({
    to_small_ms: 2000,
    freeze_as_it_narrows_ms: 500,
    freeze_on_the_narrow_way_ms: 500,
    neighbours_p99_more_ms: 5,
    to_large_ms: 10_000,
    seconds_of_60_with_less: 0,
    freeze_with_5_percent_lost_ms: 300,
    back_after_a_cut_of_5_s_ms: 2000,
  });
});

test('live over a way that loses a tenth and is late by up to 200 ms', async () => {
  await within(true, async ({ networks, page, playing }) => {
    await playing(page);
    await sleep(5000);
    networks.late(0, 200, 10);
    const [before, began] = [await count(page), Date.now()];
    await sleep(20_000);
    figures.pictures_in_20_s_late_and_lossy = (await count(page)) - before;
    figures.freeze_late_and_lossy_ms = await longest(page, Date.now() - began);
  });
  // It goes on.
  expect(figures.pictures_in_20_s_late_and_lossy).toBeGreaterThan(100);
  expectAtMost({ freeze_late_and_lossy_ms: 5000 });
});
