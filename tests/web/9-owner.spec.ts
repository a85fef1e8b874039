// The very story of somebody who got a box: an account, three cameras of three kinds, a zone, a privacy mask, a profile, all by the page; and the file
// reads as a person would have written it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { startBox, startCamera } from './box';
import { NOBODY, expect, expectSilence, test, typeCode } from './steps';

test.use({ storageState: NOBODY });
// Pictures are encoded by software, and nothing else may be ready for a while.
test.setTimeout(300_000);

/** Two seconds of a moving pattern. */
function makeClip(folder: string): string {
  const clip = join(folder, 'clip.mp4');
  const picture = ['-f', 'lavfi', '-i', 'testsrc=size=320x180:rate=10:duration=2'];
  const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '10'];
  execFileSync('ffmpeg', ['-v', 'error', ...picture, ...coding, clip]);
  return clip;
}

async function press(page: Page, ...keys: string[]) {
  for (const key of keys) await page.keyboard.press(key);
}

const times = (n: number, key: string) => Array<string>(n).fill(key);

/** A rectangle by keys, from the middle of the picture: so many steps of a tenth. */
async function drawByKeys(page: Page, what: string, [right, down]: readonly [number, number]) {
  await page.getByRole('button', { name: `Draw a ${what}` }).press('Enter');
  await expect(page.getByTestId('areas-pad')).toBeFocused();
  await press(page, 'Space', ...times(right, 'Shift+ArrowRight'), 'Space');
  await press(page, ...times(down, 'Shift+ArrowDown'), 'Space');
  await press(page, ...times(right, 'Shift+ArrowLeft'), 'Space', 'Enter');
}

async function save(page: Page) {
  const bar = page.getByTestId('save-bar');
  await bar.getByRole('button', { name: 'Save' }).click();
  await expect(bar).toContainText('Saved.');
}

/** Sends the form off and waits for the picture beside it. */
async function becomesLive(page: Page, name: string) {
  await page.getByTestId('send-camera').click();
  const added = page.getByTestId('added-camera');
  await expect(added).toContainText(`${name} is live.`, { timeout: 90_000 });
  await expect(added.locator('[data-testid=live-video][data-phase=playing]')).toBeVisible({
    timeout: 60_000,
  });
}

async function addOfKind(page: Page, kind: 'test' | 'file', name: string, place?: string) {
  if (!(await page.getByTestId(`kind-${kind}`).isVisible())) await page.getByText('More kinds').click();
  await page.getByTestId(`kind-${kind}`).check();
  if (place) await page.getByTestId('camera-place').fill(place);
  await page.getByTestId('camera-name').fill(name);
  await page.getByTestId('camera-record').selectOption('motion');
  await becomesLive(page, name);
}

/** A session of a camera that is switched off while its page still tells by which ways it can be reached. */
const OFF_MEANWHILE = { status: 404, file: /\/api\/v1\/live\/[0-9a-f]{32}$/ };

test('an owner makes the whole box by the page, and its file reads as if written by hand', async ({
  page,
}) => {
  const folder = mkdtempSync(join(tmpdir(), 'perch-clip-'));
  const clip = makeClip(folder);
  const [box, camera] = [await startBox(''), await startCamera()];
  try {
    const silent = expectSilence(page, OFF_MEANWHILE);
    await page.goto(box.url);
    await typeCode(page, box.otp);
    await page.getByTestId('skip-account').click();
    await page.getByTestId('to-live').click();
    await page.getByTestId('add-camera').click();

    await addOfKind(page, 'test', 'Front door');
    await page.getByRole('button', { name: 'Add another' }).click();
    await addOfKind(page, 'file', 'Archive', clip);
    await page.getByRole('button', { name: 'Add another' }).click();
    await page.getByTestId('kind-network').check();
    await page.locator(`[data-testid=found-in-network][data-address="${camera.onvif}"]`).click();
    await page.getByTestId('camera-user').fill('admin');
    await page.getByTestId('camera-password').fill('pass');
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('tried')).toBeVisible({ timeout: 60_000 });
    await page.getByTestId('camera-name').fill('Yard');
    await page.getByTestId('camera-room').fill('Garden');
    await page.getByTestId('camera-record').selectOption('continuous');
    await becomesLive(page, 'Yard');

    // A zone and a privacy mask, by keys.
    await page.goto(`${box.url}/camera/front-door/settings`);
    await drawByKeys(page, 'zone', [4, 4]);
    await drawByKeys(page, 'privacy mask', [2, 1]);
    await save(page);

    // A profile, and one tap of it.
    await page.goto(`${box.url}/settings/modes`);
    await page.getByTestId('add-home').click();
    await page.getByTestId('how-home-front-door').selectOption('off');
    await page.getByTestId('save-modes').click();
    await expect(page.getByText('Saved.')).toBeVisible();
    await page.getByRole('link', { name: 'Back to the cameras' }).click();
    await page.getByTestId('profile-home').click();
    await expect(page.getByTestId('off-front-door')).toContainText('Switched off by the profile Home');
    const playing = page.getByTestId('tile-yard').locator('[data-testid=live-video][data-phase=playing]');
    await expect(playing).toBeVisible({ timeout: 60_000 });
    silent();

    const text = box
      .config()
      .replaceAll(clip, 'CLIP')
      .replace(/127\.0\.0\.1:\d+\//g, '127.0.0.1/')
      .replace(/"[^"]*\/secrets\/[0-9a-f]+"/, '"SECRET"');
    const made = text.slice(text.indexOf('[[camera]]')).trim();
    expect(made).toBe(WANT.trim());
  } finally {
    camera.stop();
    await box.stop();
    rmSync(folder, { recursive: true });
  }
});

const WANT = `
[[camera]]
id = "front-door"
name = "Front door"
source = "test"
record = { mode = "motion" }
motion = { zones = [[[0.5, 0.5], [0.7, 0.5], [0.7, 0.7], [0.5, 0.7]]] }
privacy = [[[0.5, 0.5], [0.6, 0.5], [0.6, 0.55], [0.5, 0.55]]]

[[camera]]
id = "archive"
name = "Archive"
source = "file:CLIP"
record = { mode = "motion" }

[[camera]]
id = "yard"
name = "Yard"
room = "Garden"
source = "rtsp://admin:{password}@127.0.0.1/large"
password_file = "SECRET"
sub_source = "rtsp://admin:{password}@127.0.0.1/small"
onvif = "http://127.0.0.1/onvif/device_service"

[profile.home]
name = "Home"

[profile.home.cameras]
front-door = { off = true }
`;
