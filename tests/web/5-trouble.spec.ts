// What the page says when something is wrong: a microphone that is not there, and a box that falls silent.
import { startBox } from './box';
import { NOBODY, expect, expectAccessible, test, typeCode } from './steps';

test.describe(() => {
  test.use({ storageState: NOBODY });

  test('a lost microphone and a lost box are reported in plain words', async ({ page }) => {
    const box = await startBox(`
[access]
otp_digits = 6
otp_ttl_s = 120
[[camera]]
id = "door"
name = "Front door"
source = "test"
width = 320
height = 180
audio = { source = "alsa:hw:77,7" }
record = { mode = "off" }
motion = { enabled = false }`);
    try {
      await page.goto(box.url);
      await expect(page.getByText('Type the 6 digits')).toBeVisible();
      await page.getByText('No screen, or a shell?').click();
      await expect(page.getByText('works once and for 2 min')).toBeVisible();
      await typeCode(page, box.otp);
      await page.getByTestId('skip-account').click();
      await page.getByTestId('to-live').click();
      const tile = page.getByTestId('tile-door');
      await expect(tile).toContainText('Live, no sound');
      await page.goto(`${box.url}/system`);
      await expect(page.getByTestId('state-sentence')).toContainText('Front door has no sound');
      await page.getByTestId('state-place').click();
      await expect(page.getByTestId('system-camera-door')).toContainText('hw:77,7');
      await expect(page.getByTestId('system-camera-door')).toBeFocused();
      await page.screenshot({ path: 'test-results/shots/system-no-sound.png', fullPage: true });
      await page.goto(`${box.url}/live`);
      await expect(tile).toContainText('Live, no sound');
    } finally {
      await box.stop();
    }
    await expect(page.getByTestId('tile-door')).toContainText('Box not reached since');
    await page.screenshot({ path: 'test-results/shots/live-lost-box.png' });
    await page.getByTestId('nav-system').first().click();
    await expect(page.getByRole('alert').first()).toContainText('not reached since');
    await expect(page.getByText('Everything works')).toHaveCount(0);
    await expectAccessible(page);
    await page.screenshot({ path: 'test-results/shots/system-lost-box.png', fullPage: true });
  });
});

test('a network that lets no video through is reported, with what to do', async ({ page }) => {
  // Only relays may be used, and there is none: as behind a firewall that drops UDP.
  await page.addInitScript(() => {
    const Native = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Native {
      constructor(config?: RTCConfiguration) {
        super({ ...config, iceTransportPolicy: 'relay' });
      }
    };
  });
  // Nor does the picture come over HTTPS.
  await page.route(/live\.m3u8/, (route) => route.fulfill({ body: '#EXTM3U' }));
  await page.clock.install();
  const answered = page.waitForResponse(/\/whep/);
  await page.goto('/camera/test');
  await answered;
  // The page's patience, without the wait.
  await page.clock.fastForward(12_000);
  await expect(page.getByText('This network lets no video through')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Try now' })).toBeVisible();
  await expectAccessible(page);
  await page.screenshot({ path: 'test-results/shots/camera-udp-blocked.png' });
});
