// Speaking through a camera with the browser's own fake microphone: heard while held, quiet when released, one at a time.
import type { Browser, BrowserContext, Page } from '@playwright/test';
import { type Box, startBox } from './box';
import { SPEAKING_CAMERA, wav, withMicrophone } from './microphone';
import { NOBODY, expect, lookAt, pairWith, test } from './steps';

test.use({ storageState: NOBODY });
test.describe.configure({ mode: 'serial' });

/** Something like a voice: harmonics whose strength changes all the time. */
const voice = (s: number) => {
  const strength = 0.5 + 0.5 * Math.sin(2 * Math.PI * 4 * s);
  const harmonics = [1, 2, 3, 4, 5].map(
    (n) => Math.sin(2 * Math.PI * (170 + 20 * Math.sin(3 * s)) * n * s) / n,
  );
  return 0.4 * strength * harmonics.reduce((sum, one) => sum + one, 0);
};
/** A short burst each second and a half. */
const clicks = (s: number) => (s % 1.5 < 0.06 ? 0.8 * Math.sin(2 * Math.PI * 800 * s) : 0);

let box: Box;
let token: string;
let owner: BrowserContext;
let browser: Browser;

test.beforeAll(async ({}, info) => {
  box = await startBox(SPEAKING_CAMERA);
  const path = info.outputPath('voice.wav');
  wav(path, 6, voice);
  browser = await withMicrophone(path);
  owner = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1440, height: 900 },
  });
  token = await pairWith(box, owner);
});

test.afterAll(async () => {
  await browser?.close();
  await box?.stop();
});

async function status(): Promise<{
  speaker: string | null;
  level: { peak_db: number } | null;
  heard_at: string | null;
}> {
  return (await box.call('GET', '/api/v1/cameras/door', token)).json.talk;
}

const peak = async () => (await status()).level?.peak_db ?? -96;

async function open(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${box.url}/camera/door`);
  await expect(page.getByTestId('hold-to-talk')).toBeVisible();
  return page;
}

const hold = (page: Page) => page.getByTestId('hold-to-talk');
const says = (page: Page) => page.getByTestId('talk-says');

async function press(page: Page): Promise<void> {
  await hold(page).hover();
  await page.mouse.down();
}

test('held, one is heard; released, it is quiet; by pointer, by keys and hands-free', async () => {
  const page = await open(owner);
  await expect(says(page)).toHaveText(/Hold the button/);
  expect(await peak()).toBeLessThan(-60);
  await press(page);
  await expect(says(page)).toHaveText(/You are heard/);
  await expect.poll(peak).toBeGreaterThan(-25);
  expect((await status()).speaker).toBe('anna');
  await expect
    .poll(async () => Number(await page.getByRole('meter').getAttribute('aria-valuenow')))
    .toBeGreaterThan(20);
  await page.mouse.up();
  await expect(says(page)).toHaveText(/Hold the button/);
  await expect.poll(async () => (await status()).speaker).toBeNull();
  await expect.poll(peak).toBeLessThan(-60);

  await hold(page).focus();
  await page.keyboard.down(' ');
  await expect.poll(peak).toBeGreaterThan(-25);
  await page.keyboard.up(' ');
  await expect.poll(peak).toBeLessThan(-60);

  await page.getByTestId('hands-free').check();
  await expect.poll(peak).toBeGreaterThan(-25);
  await lookAt(page, 'talk-speaking');
  await page.getByTestId('hands-free').uncheck();
  await expect.poll(peak).toBeLessThan(-60);

  // The chime rings and gives the floor back.
  await page.getByTestId('chime').click();
  await expect.poll(peak).toBeGreaterThan(-15);
  await expect(says(page)).toHaveText(/Hold the button/);
  await expect.poll(peak).toBeLessThan(-40);
  await expect(page.getByTestId('chime')).toBeEnabled();

  // Who goes away speaks no more.
  await press(page);
  await expect.poll(async () => (await status()).speaker).toBe('anna');
  await page.close();
  await expect.poll(async () => (await status()).speaker).toBeNull();
});

test('a second is told who speaks, waits, and is let in; whoever manages the box takes over', async () => {
  const made = await box.call('POST', '/api/v1/users', token, {
    name: 'ben',
    password: 'another long password',
    role: 'admin',
  });
  expect(made.status).toBe(201);
  const other = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 360, height: 800 },
    colorScheme: 'dark',
  });
  const signedIn = await other.request.post(`${box.url}/api/v1/session`, {
    data: {
      username: 'ben',
      password: 'another long password',
      device_name: 'phone',
    },
    headers: { origin: box.url },
  });
  expect(signedIn.status()).toBe(204);
  const [anna, ben] = [await open(owner), await open(other)];
  await anna.getByTestId('hands-free').check();
  await expect(says(anna)).toHaveText(/You are heard/);
  await expect(says(ben)).toHaveText('Anna is speaking.');
  await press(ben);
  await ben.mouse.up();
  await expect(says(ben)).toHaveText('Anna is speaking.');
  await ben.getByTestId('talk-wait').click();
  await expect(says(ben)).toHaveText('Anna is speaking. You are next.');
  await lookAt(ben, 'talk-waits');
  expect((await status()).speaker).toBe('anna');
  await anna.getByTestId('hands-free').uncheck();
  await expect(says(ben)).toHaveText(/It is your turn/);
  await expect(says(anna)).toHaveText(/Hold the button/);
  await press(ben);
  await expect(says(ben)).toHaveText(/You are heard/);
  await expect.poll(peak).toBeGreaterThan(-25);
  expect((await status()).speaker).toBe('ben');
  await expect(says(anna)).toHaveText('Ben is speaking.');
  await lookAt(anna, 'talk-busy');
  await anna.getByTestId('take-over').click();
  await expect(says(anna)).toHaveText(/You are heard/);
  await expect(says(ben)).toHaveText(/Your time is over|Anna is speaking/);
  expect((await status()).speaker).toBe('anna');
  await ben.mouse.up();
  await anna.getByTestId('hands-free').uncheck();
  await anna.close();
  await other.close();
});

test('why there is no microphone is said', async () => {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    storageState: await owner.storageState(),
  });
  await context.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
  });
  const page = await open(context);
  await press(page);
  await expect(says(page)).toHaveText(/The browser refuses the microphone/);
  await page.mouse.up();
  await lookAt(page, 'talk-refused');
  await context.close();
});

/** When something was said at the microphone and when it was heard at the loudspeaker, and how long a press takes until it is. */
test('speech is heard soon', async ({}, info) => {
  const path = info.outputPath('clicks.wav');
  wav(path, 6, clicks);
  const clicking = await withMicrophone(path);
  const context = await clicking.newContext({
    ignoreHTTPSErrors: true,
    storageState: await owner.storageState(),
  });
  await context.addInitScript(() => {
    const said: number[] = [];
    Object.assign(window, { said });
    const native = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await native(wanted);
      // The same sound as the page's session gets, a piece of 10 ms at a time.
      const track = stream.getAudioTracks()[0]!.clone();
      const Processor = (window as any).MediaStreamTrackProcessor;
      const reader = new Processor({ track }).readable.getReader();
      let quietSince = 0;
      void (async () => {
        for (;;) {
          const { value, done } = await reader.read();
          if (done) return;
          const samples = new Float32Array(value.numberOfFrames);
          value.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
          const first = samples.findIndex((sample) => Math.abs(sample) > 0.01);
          const now = Date.now();
          // The end of the piece is now.
          if (first >= 0 && now - quietSince > 300)
            said.push(now - ((samples.length - first) * 1000) / value.sampleRate);
          if (first >= 0) quietSince = now;
          value.close();
        }
      })();
      return stream;
    };
  });
  const page = await open(context);
  await page.getByTestId('hands-free').check();
  const heard = new Set<number>();
  const until = Date.now() + 16_000;
  while (Date.now() < until) {
    const { heard_at } = await status();
    if (heard_at) heard.add(Date.parse(heard_at));
    await page.waitForTimeout(100);
  }
  const said = await page.evaluate(() => (window as unknown as { said: number[] }).said);
  await clicking.close();
  const delays = [...heard]
    .map((at) => Math.min(...said.map((s) => at - s).filter((ms) => ms > -20)))
    .filter((ms) => ms < 1000)
    .sort((a, b) => a - b);
  console.log(`mouth to ear of ${delays.length} clicks, ms: ${delays.map(Math.round).join(' ')}`);
  expect(delays.length).toBeGreaterThan(3);
  // Another program may take the processor meanwhile.
  expect(delays[0]).toBeLessThan(200);

  const talker = await open(owner);
  await press(talker);
  await expect.poll(peak).toBeGreaterThan(-25);
  await talker.mouse.up();
  const presses: number[] = [];
  for (let n = 0; n < 20; n++) {
    await expect.poll(async () => (await status()).speaker).toBeNull();
    await talker.waitForTimeout(500);
    const before = (await status()).heard_at;
    await hold(talker).hover();
    const pressed = Date.now();
    await talker.mouse.down();
    await expect.poll(async () => (await status()).heard_at, { intervals: [20] }).not.toBe(before);
    presses.push(Date.parse((await status()).heard_at!) - pressed);
    await talker.mouse.up();
  }
  presses.sort((a, b) => a - b);
  console.log(`press to first sound, ms: ${presses.join(' ')}`);
  expect(presses[0]).toBeLessThan(300);
  await talker.close();
});
