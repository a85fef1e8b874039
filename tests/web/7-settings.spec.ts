// The owner makes a box of an empty one by the page alone: a camera, its name, a zone, a limit, and the way back; and whoever only
// watches sees none of it.
import type { Page } from '@playwright/test';
import { startBox } from './box';
import { NOBODY, expect, expectAccessible, expectSilence, lookAt, test, typeCode } from './steps';

test.use({ storageState: NOBODY });
// The picture of a new camera is encoded by software, and nothing else may be ready for a while.
test.setTimeout(240_000);

/** Saves what is changed, once the box has said what that does. */
async function save(page: Page, does: RegExp) {
  const bar = page.getByTestId('save-bar');
  await expect(bar).toContainText(does);
  await bar.getByRole('button', { name: 'Save' }).click();
  await expect(bar).toContainText('Saved.');
}

async function press(page: Page, ...keys: string[]) {
  for (const key of keys) await page.keyboard.press(key);
}

test('an owner makes a box of an empty one by the page', async ({ page, browser }) => {
  const box = await startBox('');
  try {
    const silent = expectSilence(page);
    await page.goto(box.url);
    await typeCode(page, box.otp);
    await page.getByTestId('skip-account').click();
    await page.getByTestId('to-live').click();
    await expect(page.getByText('This box has no camera yet')).toBeVisible();

    // A camera, and its picture.
    await page.getByTestId('add-camera').click();
    await expect(page.getByRole('heading', { name: 'Add a camera' })).toBeFocused();
    await page.getByText('More kinds').click();
    await page.getByTestId('kind-test').check();
    await page.getByTestId('camera-name').fill('Front door');
    await expect(page.getByTestId('camera-id')).toHaveValue('front-door');
    await page.getByTestId('camera-record').selectOption('off');
    await lookAt(page, 'add-camera');
    await page.getByTestId('send-camera').click();
    const added = page.getByTestId('added-camera');
    await expect(added).toContainText('Front door is live.', {
      timeout: 90_000,
    });
    await expect(added.locator('[data-testid=live-video][data-phase=playing]')).toBeVisible({
      timeout: 60_000,
    });
    await lookAt(page, 'camera-added');

    // Its name.
    await page.getByTestId('added-settings').click();
    await page.getByTestId('setting-camera[].name').fill('Entrance');
    await save(page, /Front door changes at once/);
    await expect(page.getByRole('heading', { name: 'Settings of Entrance' })).toBeVisible();

    // A zone, by keys alone: a triangle whose last corner is then moved.
    await page.getByRole('button', { name: 'Draw a zone' }).press('Enter');
    const pad = page.getByTestId('areas-pad');
    await expect(pad).toBeFocused();
    await press(page, 'Space', 'Shift+ArrowRight', 'Shift+ArrowRight', 'Space', 'Shift+ArrowDown', 'Space');
    await press(page, 'Enter');
    const change = page.getByRole('button', { name: 'Change Zone 1' });
    await expect(change).toBeFocused();
    await press(page, 'Enter');
    await expect(pad.getByRole('button', { name: /^Corner 1 of Zone 1/ })).toBeFocused();
    await press(page, 'Tab', 'Tab', 'ArrowDown');
    await expect(
      pad.getByRole('button', {
        name: /^Corner 3 .* 60 % from the left, 56 %/,
      }),
    ).toBeFocused();
    // Three corners are the least.
    await press(page, 'Delete');
    await expect(page.getByText('An area needs three corners.')).toBeVisible();
    await press(page, 'Escape');
    await expect(change).toBeFocused();
    await lookAt(page, 'camera-settings');
    await save(page, /motion is learnt anew/);

    // A limit, and one tap back.
    await page.getByRole('link', { name: 'Back to the camera' }).click();
    await page.getByTestId('nav-system').first().click();
    await page.getByTestId('system-part-box').click();
    await page.getByTestId('box-settings').click();
    const days = page.getByTestId('setting-recording.max_days');
    await days.fill('7');
    await save(page, /counts at once/);
    expect(box.config()).toContain('max_days = 7');
    await page.getByTestId('undo-settings').click();
    await expect(page.getByTestId('save-bar')).toContainText('Taken back');
    await expect(days).toHaveValue('30');
    expect(box.config()).not.toContain('max_days');

    // Again, and back by the list of versions.
    await days.fill('9');
    await save(page, /counts at once/);
    const versions = page.getByTestId('versions');
    await versions
      .getByRole('button', { name: /^What differs/ })
      .first()
      .click();
    await expect(versions.locator('.goes')).toContainText('max_days = 9');
    await lookAt(page, 'settings');
    await versions
      .getByRole('button', { name: /^Take back/ })
      .first()
      .click();
    await page.getByRole('dialog').getByRole('button', { name: 'Take back' }).click();
    await expect(page.getByRole('dialog')).toHaveCount(0);
    await expect(days).toHaveValue('30');

    // The file is what a person would have written.
    const text = box.config();
    const camera = `[[camera]]
id = "front-door"
name = "Entrance"
source = "test"
record = { mode = "off" }
motion = { zones = [[[0.5, 0.5], [0.6, 0.5], [0.6, 0.56]]] }
`;
    expect(text.trim().endsWith(camera.trim()), text).toBe(true);
    expect(text).not.toContain('max_days');
    expect(text.match(/^\[.*\]$/gm)).toEqual([
      '[box]',
      '[http]',
      '[rtsp]',
      '[webrtc]',
      '[recording]',
      '[[camera]]',
    ]);

    // Whoever only watches is led nowhere.
    const code = await page.request.post(`${box.url}/api/v1/pairing-codes`, {
      data: { role: 'viewer' },
      headers: { origin: box.url },
    });
    const { otp } = (await code.json()) as { otp: string };
    const guest = await browser.newContext({ ignoreHTTPSErrors: true });
    const watching = await guest.newPage();
    await watching.goto(`${box.url}/pair`);
    await typeCode(watching, otp.replace(/\D/g, ''));
    await expect(watching.getByTestId('nav-live').first().or(watching.getByTestId('to-live'))).toBeVisible();
    await watching.goto(`${box.url}/settings`);
    await expect(watching.getByText('Only administrators change the box.')).toBeVisible();
    await watching.goto(`${box.url}/system/cameras`);
    await expect(watching.getByTestId('system-camera-front-door')).toBeVisible();
    await expect(watching.getByTestId('add-camera')).toHaveCount(0);
    await expect(watching.getByRole('link', { name: /Settings of/ })).toHaveCount(0);
    await watching.getByTestId('system-part-box').click();
    await expect(watching.getByTestId('update-card')).toBeVisible();
    await expect(watching.getByTestId('box-settings')).toHaveCount(0);
    await guest.close();
    silent();

    // What the box refuses stands at its field. The browser itself notes the refusal.
    await page.getByTestId('setting-http.listen').fill('nowhere');
    await expect(page.getByText(/^Must be an address and port/)).toBeVisible();
    await expect(page.getByTestId('save-settings')).toBeDisabled();
    await page.getByRole('button', { name: 'Discard' }).click();

    // The camera goes, its recordings stay.
    await page.getByTestId('nav-system').first().click();
    await page.getByTestId('system-part-cameras').click();
    await page.getByRole('link', { name: 'Settings of Entrance' }).click();
    await page.getByTestId('remove-camera').click();
    await expect(page.getByRole('dialog')).toContainText('Keep them until room is needed');
    await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
    await expect(page.getByText('Cameras will appear here once one is added.')).toBeVisible();
    expect(box.config()).toContain('camera = []');
  } finally {
    await box.stop();
  }
});

/** Small and few: software encodes every picture. */
const DOOR = `
[[camera]]
id = "door"
source = "test"
width = 320
height = 180
fps = 8
bitrate_kbps = 300
record = { mode = "off" }
motion = { enabled = false }`;

test('a network camera with a wrong password is mended in the form; two who change the same see both', async ({
  page,
}) => {
  const box = await startBox(DOOR);
  try {
    const paired = await box.call('POST', '/api/v1/pair', undefined, {
      otp: box.otp,
      device_name: 'other',
    });
    const { token } = paired.json;
    // The box's own camera is what the new one shows.
    const player = await box.call('POST', '/api/v1/stream-passwords', token, {
      name: 'player',
    });
    const code = await box.call('POST', '/api/v1/pairing-codes', token, {
      role: 'admin',
    });
    await page.goto(`${box.url}/pair`);
    await typeCode(page, code.json.otp.replace(/\D/g, ''));
    await page.getByTestId('skip-account').click();
    await page.goto(`${box.url}/add-camera`);

    // As a manual prints it: it comes apart.
    const address = `rtsp://127.0.0.1:${box.rtspPort}/door`;
    await page.getByTestId('camera-place').fill(address.replace('://', '://player:wrong@'));
    await page.getByTestId('camera-name').fill('Yard');
    await expect(page.getByTestId('camera-place')).toHaveValue(address);
    await expect(page.getByTestId('camera-user')).toHaveValue('player');
    await page.getByTestId('camera-record').selectOption('off');
    await page.getByTestId('send-camera').click();
    const added = page.getByTestId('added-camera');
    await expect(added).toContainText('Yard gives no picture yet.', {
      timeout: 60_000,
    });
    await expect(added).toContainText('Check user and password');
    await expectAccessible(page);
    await page.screenshot({ path: 'test-results/shots/camera-wrong.png' });
    await page.getByTestId('camera-password').fill(player.json.password);
    await page.getByTestId('send-camera').click();
    await expect(added).toContainText('Yard is live.', { timeout: 60_000 });
    const text = box.config();
    expect(text).toContain(`source = "${address.replace('://', '://player:{password}@')}"`);
    expect(text).not.toContain(player.json.password);

    // A mask by mouse, and one of its corners pulled.
    await page.getByTestId('added-settings').click();
    const pad = page.getByTestId('areas-pad');
    await page.getByRole('button', { name: 'Draw a mask' }).click();
    const { width, height } = (await pad.boundingBox())!;
    const at = (x: number, y: number) => ({
      position: { x: width * x, y: height * y },
    });
    for (const [x, y] of [
      [0.2, 0.2],
      [0.6, 0.2],
      [0.6, 0.6],
    ] as const)
      await pad.click(at(x, y));
    await page.getByRole('button', { name: 'Finish' }).click();
    await page.getByRole('button', { name: 'Change Mask 1' }).click();
    const corner = pad.getByRole('button', { name: /^Corner 3 of Mask 1/ });
    const { x, y, width: w, height: h } = (await corner.boundingBox())!;
    await page.mouse.move(x + w / 2, y + h / 2);
    await page.mouse.down();
    await page.mouse.move(x + w / 2 - width * 0.1, y + h / 2, { steps: 4 });
    await page.mouse.up();
    await expect(corner).toHaveAccessibleName(/(49|50|51) % from the left/);
    await save(page, /Yard/);
    expect(box.config()).toMatch(/motion = \{ masks = \[\[\[0\.(2|19\d|20\d), /);

    // Somebody else is faster.
    await page.goto(`${box.url}/settings`);
    const days = page.getByTestId('setting-recording.max_days');
    await days.fill('7');
    await expect(page.getByTestId('save-bar')).toContainText('counts at once');
    const { json: versions } = await box.call('GET', '/api/v1/settings/versions', token);
    expect(versions.versions[0].by).not.toBe('other');
    const other = await box.call('PATCH', '/api/v1/settings', token, { recording: { max_days: 9 } }, '*');
    expect(other.status).toBe(200);
    await page.getByTestId('save-settings').click();
    await expect(page.getByText('Somebody else set this to 9 days meanwhile.')).toBeVisible();
    await expect(days).toHaveValue('7');
    await expectAccessible(page);
    await save(page, /counts at once/);
    expect(box.config()).toContain('max_days = 7');

    // The new camera is taken away again, with its password.
    await page.goto(`${box.url}/camera/yard/settings`);
    await page.getByTestId('remove-camera').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await expect.poll(() => box.config()).not.toContain('yard');
    await expect(page.getByTestId('system-camera-door')).toBeVisible();
    await expect(page.getByTestId('system-camera-yard')).toHaveCount(0);
  } finally {
    await box.stop();
  }
});

/** Bright pixels of a camera's newest still in the left upper part that begins at 0 and ends there. */
async function brightWithin(page: Page, camera: string, [right, bottom]: readonly [number, number]) {
  return page.evaluate(
    async ({ camera, right, bottom }) => {
      const still = await fetch(`/api/v1/cameras/${camera}/snapshot.jpg`);
      const picture = await createImageBitmap(await still.blob());
      const canvas = new OffscreenCanvas(picture.width, picture.height);
      const drawing = canvas.getContext('2d')!;
      drawing.drawImage(picture, 0, 0);
      const { data } = drawing.getImageData(
        0,
        0,
        Math.floor(picture.width * right) - 3,
        Math.floor(picture.height * bottom) - 3,
      );
      let bright = 0;
      for (let at = 0; at < data.length; at += 4) if (data[at + 1]! > 100) bright += 1;
      return bright;
    },
    { camera, right, bottom },
  );
}

test('a privacy mask that is drawn by keys hides what it covers, and a draft is not lost unasked', async ({
  page,
}) => {
  const box = await startBox(DOOR);
  try {
    const silent = expectSilence(page);
    await page.goto(box.url);
    await typeCode(page, box.otp);
    await page.getByTestId('skip-account').click();
    // By the page's own way, so that the browser's way back leads within it.
    await page.goto(`${box.url}/camera/door`);
    await page.getByTestId('camera-settings').click();
    const clock = [0.7, 0.4] as const;
    // The test camera writes the time there.
    await expect.poll(() => brightWithin(page, 'door', clock), { timeout: 60_000 }).toBeGreaterThan(0);

    await page.getByRole('button', { name: 'Draw a privacy mask' }).click();
    const times = (n: number, key: string) => Array<string>(n).fill(key);
    await press(page, ...times(10, 'Shift+ArrowLeft'), ...times(10, 'Shift+ArrowUp'), 'Space');
    await press(page, ...times(14, 'Shift+ArrowRight'), 'Space');
    await press(page, ...times(8, 'Shift+ArrowDown'), 'Space');
    await press(page, ...times(14, 'Shift+ArrowLeft'), 'Space', 'Enter');
    const areas = page.getByTestId('areas');
    await expect(areas).toContainText('Privacy mask 1 4 corners');

    // One more corner, by a key and by the middle of an edge.
    await page.getByRole('button', { name: 'Change Privacy mask 1' }).click();
    await expect(page.getByRole('button', { name: /^Corner 1 of Privacy mask 1/ })).toBeFocused();
    await press(page, 'Insert');
    await expect(page.getByRole('button', { name: /^Corner 2 of Privacy mask 1/ })).toBeFocused();
    await expect(areas).toContainText('Privacy mask 1 5 corners');
    await page
      .getByRole('button', {
        name: 'Add a corner to Privacy mask 1 behind corner 4',
      })
      .click();
    await expect(areas).toContainText('Privacy mask 1 6 corners');
    await lookAt(page, 'privacy-mask');
    await page.keyboard.press('Escape');

    // Whoever goes elsewhere is asked first, also by the browser's way back.
    for (const leave of [() => page.getByTestId('nav-events').first().click(), () => page.goBack()]) {
      await leave();
      const asked = page.getByRole('dialog');
      await expect(asked).toContainText('Not saved yet');
      await asked.getByRole('button', { name: 'Cancel' }).click();
      await expect(page).toHaveURL(/camera\/door\/settings$/);
      await expect(areas).toContainText('Privacy mask 1 6 corners');
    }
    await save(page, /masks change at once/);
    expect(await brightWithin(page, 'door', clock), 'nothing is seen there').toBe(0);
    expect(box.config()).toContain('privacy = [[[0, 0], ');
    silent();
  } finally {
    await box.stop();
  }
});
