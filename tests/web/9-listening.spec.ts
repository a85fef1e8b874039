// Listening: a page that is hidden goes on sounding and is sent sound alone, the view of sound alone, what is remembered of a camera's sound,
// and what is said where a connection or a budget carries no more than that.
import type { BrowserContext, Page } from '@playwright/test';
import { type Box, startBox } from './box';
import { NOBODY, expect, expectAccessible, expectSilence, lookAt, pairWith, test, watchPeers } from './steps';

test.use({ storageState: NOBODY });
test.describe.configure({ mode: 'default' });

const camera = (id: string, name: string, sub: string) => `
[[camera]]
id = "${id}"
name = "${name}"
source = "test"
width = 1280
height = 720
fps = 8
bitrate_kbps = 1500
sub = { ${sub}, fps = 8 }
audio = { source = "test" }
record = { mode = "off" }
motion = { enabled = false }`;

/** How long the page is hidden: ten minutes by `make hidden`. */
const HIDDEN_S = Number(process.env.PERCH_TEST_HIDDEN_S ?? '8');

/** How often it is looked at again then. */
const ROUNDS = HIDDEN_S > 60 ? 20 : 6;

let box: Box;
let owner: BrowserContext;

test.beforeAll(async ({ browser }) => {
  box = await startBox(
    camera('door', 'Front door', 'width = 320, height = 180, bitrate_kbps = 600') +
      camera('yard', 'Yard', 'width = 1280, height = 720, bitrate_kbps = 3000'),
  );
  owner = await browser.newContext({
    ignoreHTTPSErrors: true,
    baseURL: box.url,
  });
  await pairWith(box, owner);
});

test.afterAll(async () => {
  await owner?.close();
  await box?.stop();
});

/** As a phone that is locked, and as one that is looked at again. */
const setHidden = (page: Page, hidden: boolean) =>
  page.evaluate((isHidden) => {
    Object.defineProperty(document, 'hidden', {
      configurable: true,
      get: () => isHidden,
    });
    Object.defineProperty(document, 'visibilityState', {
      configurable: true,
      get: () => (isHidden ? 'hidden' : 'visible'),
    });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);

/** What the page's connections have received, all together. */
const heard = (page: Page) =>
  page.evaluate(async () => {
    const { peers } = window as unknown as { peers: RTCPeerConnection[] };
    const sum = {
      frames: 0,
      samples: 0,
      concealed: 0,
      connections: peers.length,
    };
    for (const peer of peers) {
      for (const report of (await peer.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        if (report.kind === 'video') sum.frames += report.framesDecoded ?? 0;
        else {
          sum.samples += report.totalSamplesReceived ?? 0;
          sum.concealed += report.concealedSamples ?? 0;
        }
      }
    }
    return sum;
  });

/** Until no picture comes any more: those that were on their way are there. */
async function isStill(page: Page) {
  let before = -1;
  const poll = async () => {
    const { frames } = await heard(page);
    const same = frames === before;
    before = frames;
    return same;
  };
  await expect.poll(poll, { intervals: [400] }).toBe(true);
}

interface Sent {
  camera: string;
  ration: string;
  why: string;
  bytes_sent: number;
}

/** What the box sends this browser. */
const sent = async (): Promise<Sent[]> => (await (await owner.request.get('/api/v1/live')).json()).sessions;
const ration = async () => (await sent()).map((one) => `${one.ration} by ${one.why}`).join();

const playing = (page: Page) => page.locator('[data-testid=live-video][data-phase=playing]');

async function open(path: string): Promise<Page> {
  // What the test before watched is over; where its page was taken away in the middle, once its lease lapses.
  await expect.poll(async () => (await sent()).length, { timeout: 45_000 }).toBe(0);
  const page = await owner.newPage();
  await watchPeers(page);
  // What a lock screen's buttons would call.
  await page.addInitScript(() => {
    const handlers: Record<string, unknown> = {};
    Object.assign(window, { handlers });
    const set = navigator.mediaSession.setActionHandler.bind(navigator.mediaSession);
    navigator.mediaSession.setActionHandler = (action, handler) => {
      handlers[action] = handler;
      set(action, handler);
    };
  });
  await page.goto(path);
  return page;
}

const press = (page: Page, action: 'play' | 'pause') =>
  page.evaluate(
    (name) => (window as unknown as { handlers: Record<string, () => void> }).handlers[name]?.(),
    action,
  );

/** Milliseconds from being looked at again to a picture on the screen. */
const wakes = (page: Page) =>
  page.evaluate(
    () =>
      new Promise<number>((done) => {
        const video = document.querySelector<HTMLVideoElement>('[data-testid=live-video]')!;
        const started = performance.now();
        video.requestVideoFrameCallback(() => done(performance.now() - started));
        Object.defineProperty(document, 'hidden', {
          configurable: true,
          get: () => false,
        });
        Object.defineProperty(document, 'visibilityState', {
          configurable: true,
          get: () => 'visible',
        });
        document.dispatchEvent(new Event('visibilitychange'));
      }),
  );

test('a hidden page goes on sounding with little data, and the picture is back at once', async () => {
  test.setTimeout((HIDDEN_S + 120) * 1000);
  const page = await open('/camera/door');
  const silent = expectSilence(page);
  await page.getByTestId('sound').click();
  await expect(playing(page)).toHaveCount(1);
  await expect.poll(async () => (await heard(page)).samples).toBeGreaterThan(48_000);
  const sound = page.getByTestId('live-sound');
  expect(await sound.evaluate((e: HTMLAudioElement) => [e.paused, e.muted, e.volume])).toEqual([
    false,
    false,
    1,
  ]);
  const controls = () =>
    page.evaluate(() => [navigator.mediaSession.metadata?.title, navigator.mediaSession.playbackState]);
  expect(await controls()).toEqual(['Front door', 'playing']);

  await setHidden(page, true);
  await expect.poll(ration).toBe('sound by wish');
  await isStill(page);
  const [before, sentBefore, started] = [await heard(page), (await sent())[0]!.bytes_sent, Date.now()];
  // A browser that lets nothing of the page run: the lease is kept by the media alone.
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
  await new Promise((done) => setTimeout(done, HIDDEN_S * 1000));
  await devtools.send('Page.setWebLifecycleState', { state: 'active' });
  const [after, sentAfter, seconds] = [
    await heard(page),
    (await sent())[0]!.bytes_sent,
    (Date.now() - started) / 1000,
  ];
  const samples = (after.samples - before.samples) / 48_000;
  const kbps = ((sentAfter - sentBefore) * 8) / 1000 / seconds;
  const missing = (after.concealed - before.concealed) / 48_000;
  console.log(
    `hidden for ${seconds.toFixed(1)} s: ${samples.toFixed(1)} s of sound, ${missing.toFixed(2)} s of it made up, ` +
      `${kbps.toFixed(1)} kbit/s (${((kbps * 3600) / 8000).toFixed(1)} MB an hour)`,
  );
  expect(samples).toBeGreaterThan(seconds * 0.95 - 0.5);
  expect(missing).toBeLessThan(0.02 * seconds + 0.2);
  expect(kbps).toBeLessThan(110);
  // Some may have waited in the browser.
  expect(after.frames).toBeLessThan(before.frames + 5);

  const waited = [];
  for (let n = 0; n < ROUNDS; n += 1) {
    waited.push(Math.round(await wakes(page)));
    await expect(playing(page)).toHaveCount(1);
    const { frames } = await heard(page);
    await expect.poll(async () => (await heard(page)).frames).toBeGreaterThan(frames + 10);
    await setHidden(page, true);
    await expect.poll(ration).toBe('sound by wish');
    await isStill(page);
  }
  const p95 = waited.toSorted((a, b) => a - b)[Math.ceil(0.95 * waited.length) - 1];
  console.log(`a picture after ${waited.join(', ')} ms of waking, 95 of 100 within ${p95} ms`);
  // What is exact in time is looked at by whoever reads this; here the machine may be doing other things.
  expect(Math.min(...waited)).toBeLessThan(300);
  expect(Math.max(...waited)).toBeLessThan(2000);

  // The lock screen's buttons: silent, it sleeps like any other page; sounding again, it goes on.
  await press(page, 'pause');
  await expect.poll(() => sound.evaluate((e: HTMLAudioElement) => e.muted)).toBe(true);
  await press(page, 'play');
  await expect.poll(() => sound.evaluate((e: HTMLAudioElement) => e.muted)).toBe(false);
  await wakes(page);
  expect((await heard(page)).connections, 'one connection all the time').toBe(1);
  silent();
  await page.close();
  await expect.poll(async () => (await sent()).length, { timeout: 10_000 }).toBe(0);
});

test('the view of sound alone shows a level, goes dark, and gives the picture back', async () => {
  const page = await open('/camera/door');
  const silent = expectSilence(page);
  await expect(playing(page)).toHaveCount(1);
  const isOn = (await page.getByTestId('sound').getAttribute('aria-label')) === 'Sound off';
  if (!isOn) await page.getByTestId('sound').click();
  await page.getByTestId('volume').fill('0.4');
  await page.getByTestId('sound-only-view').click();
  const view = page.getByTestId('sound-view');
  await expect(view).toContainText('Listening to Front door');
  await expect(view).toContainText('No picture is sent.');
  await expect.poll(ration).toBe('sound by wish');
  await page.getByTestId('health').click();
  await expect(page.getByTestId('health-line')).toHaveText(
    /^\d+ ms, sound only, direct, \d+ kbit\/s, .*lost$/,
  );
  const level = view.getByTestId('sound-level');
  await expect.poll(async () => Number(await level.getAttribute('aria-valuenow'))).toBeGreaterThan(20);
  await lookAt(page, 'sound-only');
  await page.getByTestId('darken').click();
  await expect(page.getByTestId('brighten')).toBeVisible();
  await page.screenshot({ path: 'test-results/shots/sound-dark.png' });
  await expectAccessible(page);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('brighten')).toHaveCount(0);
  await page.getByTestId('show-picture').click();
  await expect(playing(page)).toHaveCount(1);
  await expect.poll(ration).toBe('main by wish');
  expect((await heard(page)).connections).toBe(1);
  await lookAt(page, 'sound-on');

  // Remembered by camera.
  await page.reload();
  await expect(page.getByTestId('volume')).toHaveValue('0.4');
  const sound = page.getByTestId('live-sound');
  await expect.poll(() => sound.evaluate((e: HTMLAudioElement) => [e.muted, e.volume])).toEqual([false, 0.4]);
  await page.goto('/camera/yard');
  await expect(page.getByTestId('sound')).toHaveAccessibleName('Sound on');
  await page.goto('/camera/door');
  await page.getByTestId('sound').click();
  await page.reload();
  await expect(page.getByTestId('sound')).toHaveAccessibleName('Sound on');
  silent();
  await page.close();
});

test('of several cameras one is heard, also where it is scrolled away or the page is hidden', async () => {
  const page = await open('/live');
  await expect(playing(page)).toHaveCount(2);
  await page.getByRole('button', { name: 'Sound of Yard' }).click();
  const audible = () =>
    page
      .getByTestId('live-sound')
      .evaluateAll(
        (all) => all.filter((e) => !(e as HTMLAudioElement).muted && !(e as HTMLAudioElement).paused).length,
      );
  await expect.poll(audible).toBe(1);
  const byCamera = async () =>
    (await sent())
      .map((one) => `${one.camera}: ${one.ration}`)
      .sort()
      .join();
  await expect.poll(byCamera).toMatch(/^door: (main|sub),yard: (main|sub)$/);
  await setHidden(page, true);
  await expect.poll(byCamera).toMatch(/^door: (main|sub),yard: sound$/);
  await setHidden(page, false);
  await expect.poll(byCamera).toMatch(/^door: (main|sub),yard: (main|sub)$/);
  // Remembered for the next visit.
  await page.reload();
  await expect(page.getByRole('button', { name: 'Sound of Yard' })).toHaveAttribute('aria-pressed', 'true');
  await expect.poll(audible).toBe(1);
  await page.close();
});

for (const [id, budget, what, words] of [
  ['yard', 90, 'keyframes', /a still every few seconds: your data budget/],
  ['yard', 50, 'sound', /sound only: your data budget/],
] as const) {
  test(`a budget for ${what} alone is said, and is no lost connection`, async () => {
    const page = await open('/system');
    const silent = expectSilence(page);
    await page.evaluate((mb) => localStorage.setItem('perch.data-budget', String(mb)), budget);
    await page.goto(`/camera/${id}`);
    await expect.poll(ration, { timeout: 60_000 }).toBe(`${what} by budget`);
    await page.getByTestId('health').click();
    await expect(page.getByTestId('health-line')).toContainText(words);
    if (what === 'sound') await expect(page.getByTestId('sound-only')).toHaveText(words);
    // For longer than a lost connection, or one that never shows a picture, would stay unnoticed.
    await page.waitForTimeout(18_000);
    if (what === 'keyframes') await expect(playing(page)).toHaveCount(1);
    expect((await heard(page)).connections).toBe(1);
    await lookAt(page, `budget-${what}`);
    await page.evaluate(() => localStorage.removeItem('perch.data-budget'));
    silent();
    await page.close();
  });
}
