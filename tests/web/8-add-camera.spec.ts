// An owner adds a network camera without knowing anything of it but its password: it is found, asked for its streams, watched, judged, named,
// and live. And what goes wrong on that way.
import { type AddressInfo, type Socket, createServer } from 'node:net';
import type { Page } from '@playwright/test';
import { type Box, startBox, startCamera } from './box';
import { NOBODY, expect, expectSilence, lookAt, test, typeCode } from './steps';

test.use({ storageState: NOBODY });
test.setTimeout(240_000);

/** A host that takes connections and says nothing. */
async function startSilence(): Promise<{ port: number; stop: () => void }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => open.add(socket.on('error', () => {})));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const stop = () => {
    for (const socket of open) socket.destroy();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, stop };
}

async function owner(page: Page, box: Box) {
  await page.goto(box.url);
  await typeCode(page, box.otp);
  await page.getByTestId('skip-account').click();
  await page.getByTestId('to-live').click();
  await page.getByTestId('add-camera').click();
}

test('a camera is found, asked with a password, watched, named, and live within a minute', async ({
  page,
}) => {
  const [box, camera] = [await startBox(''), await startCamera()];
  try {
    const silent = expectSilence(page);
    await owner(page, box);
    const found = page.locator(`[data-testid=found-in-network][data-address="${camera.onvif}"]`);
    await expect(found).toContainText('Yard cam');
    await lookAt(page, 'adding-found');

    const began = Date.now();
    await found.click();
    // The rest is done by keys alone.
    await expect(page.getByTestId('camera-user')).toBeFocused();
    await page.keyboard.type('admin');
    await page.keyboard.press('Tab');
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('no-streams')).toContainText('user and password');
    await expect(page.getByTestId('camera-user')).toBeFocused();
    await lookAt(page, 'adding-refused');
    await page.getByTestId('camera-password').fill('pass');
    await page.keyboard.press('Enter');
    await expect(page.getByText('Asking the camera for its streams')).toBeVisible();
    await expect(page.getByText('Watching it for a few seconds')).toBeVisible();
    const tried = page.getByTestId('tried');
    await expect(tried.locator('[data-weight=good]').first()).toContainText('H.264', { timeout: 60_000 });
    await expect(tried.getByRole('img')).toBeVisible();
    await expect(tried.locator('[data-weight=bad]')).toHaveCount(0);
    await expect(tried).toBeFocused();
    await expect(page.getByTestId('camera-name')).toHaveValue('Yard cam');
    await expect(page.getByTestId('camera-id')).toHaveValue('yard-cam');
    await lookAt(page, 'adding-tried');
    await page.getByTestId('camera-name').fill('Yard');
    await page.getByTestId('camera-room').fill('Garden');
    await page.getByTestId('camera-record').selectOption('off');
    const tapped = Date.now();
    await page.keyboard.press('Enter');
    const added = page.getByTestId('added-camera');
    await expect(added).toContainText('Yard is live.', { timeout: 60_000 });
    await expect(added.locator('[data-testid=live-video][data-phase=playing]')).toBeVisible({
      timeout: 60_000,
    });
    const live = Date.now();
    test.info().annotations.push({
      type: 'measured',
      description: `${live - tapped} ms from the tap to live, ${live - began} ms from the choice of the camera`,
    });
    // What is done is put away, and the picture stays.
    await expect(page.getByTestId('send-camera')).toHaveCount(0);
    await lookAt(page, 'adding-live');
    silent();
    const text = box.config();
    expect(text).toContain('room = "Garden"');
    expect(text).toMatch(/\nsource = "rtsp:\/\/admin:\{password\}@127\.0\.0\.1:\d+\/large"\n/);
    expect(text).toMatch(/\nsub_source = "rtsp:\/\/admin:\{password\}@127\.0\.0\.1:\d+\/small"\n/);
    expect(text).toMatch(/\nonvif = "http:\/\/127\.0\.0\.1:\d+\/onvif\/device_service"\n/);
    expect(text).not.toContain('pass@');

    // It is known from now on.
    await page.getByRole('button', { name: 'Add another' }).click();
    await expect(page.getByTestId('camera-place')).toHaveValue('');
  } finally {
    camera.stop();
    await box.stop();
  }
});

test('what does not answer is said, can be stopped, and nothing is added', async ({ page }) => {
  const [box, silent] = [await startBox(''), await startSilence()];
  try {
    await owner(page, box);
    await page.getByTestId('camera-place').fill('rtsp://127.0.0.1:9/nothing');
    await page.getByTestId('try-camera').click();
    const tried = page.getByTestId('tried');
    await expect(tried.locator('[data-weight=bad]')).toContainText('Nothing answers on its port 9');
    await expect(page.getByTestId('send-camera')).toHaveText('Add it all the same');
    // What is written anew makes that void.
    await page.getByTestId('camera-place').fill(`rtsp://127.0.0.1:${silent.port}/x`);
    await expect(tried).toHaveCount(0);
    await page.getByTestId('try-camera').click();
    await expect(page.getByText('Watching it for a few seconds')).toBeVisible();
    await page.getByTestId('stop-trying').click();
    await expect(page.getByTestId('try-camera')).toBeVisible();
    // Neither the box itself.
    await page.getByTestId('camera-place').fill(`rtsp://127.0.0.1:${box.rtspPort}/x`);
    await page.getByTestId('try-camera').click();
    await expect(page.getByText(/the box itself/)).toBeVisible();
    expect(box.config()).toContain('camera = []');
  } finally {
    silent.stop();
    await box.stop();
  }
});
