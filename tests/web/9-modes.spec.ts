// Cameras are switched off and on with a tap, profiles with one more, and both are made and planned by forms in words.
import type { Page } from '@playwright/test';
import { startBox } from './box';
import { NOBODY, expect, expectSilence, lookAt, test, typeCode } from './steps';

test.use({ storageState: NOBODY });
// Pictures are encoded by software, and nothing else may be ready for a while.
test.setTimeout(240_000);

const CAMERA = (id: string, name: string) => `
[[camera]]
id = "${id}"
name = "${name}"
source = "test"
width = 320
height = 180
fps = 8
bitrate_kbps = 300
record = { mode = "continuous", segment_max_s = 20 }
motion = { enabled = false }
`;

const playing = (page: Page, id: string) =>
  page.getByTestId(`tile-${id}`).locator('[data-testid=live-video][data-phase=playing]');

test('a camera is switched off and on, and a profile chosen, by taps', async ({ page }) => {
  const box = await startBox(CAMERA('front', 'Front door') + CAMERA('yard', 'Yard'));
  try {
    const silent = expectSilence(page);
    await page.goto(box.url);
    await typeCode(page, box.otp);
    await page.getByTestId('skip-account').click();
    await page.getByTestId('to-live').click();
    for (const id of ['front', 'yard']) await expect(playing(page, id)).toBeVisible({ timeout: 90_000 });

    // Off, by a tap and a choice; the other one plays on.
    await page.getByTestId('switch-off-front').click();
    await expect(page.getByTestId('switch-dialog')).toContainText('the device itself is closed');
    await lookAt(page, 'switch-off');
    await page.getByTestId('off-until-on').click();
    const off = page.getByTestId('off-front');
    await expect(off).toContainText(/Switched off by .+ since /);
    await expect(page.getByTestId('tile-front').getByTestId('live-video')).toHaveCount(0);
    await expect(playing(page, 'yard')).toBeVisible();
    await lookAt(page, 'live-off');

    // The camera's page says why, and the timeline too.
    await page.getByTestId('tile-front').click();
    await expect(page.getByTestId('picture')).toContainText(/Switched off by .+ since /);
    await lookAt(page, 'camera-off');
    const strip = page.getByRole('slider', { name: 'Timeline' });
    // A step back from live is three seconds: the box has to know of more than that.
    const offFor = async () => {
      const [from, to] = [new Date(Date.now() - 3_600_000), new Date()].map((time) => time.toISOString());
      const answer = await page.request.get(`${box.url}/api/v1/cameras/front/timeline?from=${from}&to=${to}`);
      const { gaps } = (await answer.json()) as { gaps: { start: string; cause: string }[] };
      const off = gaps.find((gap) => gap.cause === 'switched_off');
      return off ? Date.now() - Date.parse(off.start) : 0;
    };
    await expect.poll(offFor, { timeout: 60_000 }).toBeGreaterThan(10_000);
    await page.reload();
    await expect(page.getByTestId('picture')).toContainText(/Switched off by .+ since /);
    // Near enough that an arrow is a second.
    for (let n = 0; n < 9; n += 1) await strip.press('+');
    await strip.press('ArrowLeft');
    await expect(strip).toHaveAttribute('aria-valuetext', /Switched off by /);
    await page.keyboard.press('End');

    // On again, with one tap.
    await page.getByTestId('switch-on-front').click();
    await expect(page.locator('[data-testid=live-video][data-phase=playing]')).toBeVisible({
      timeout: 60_000,
    });

    // Profiles and schedules, in words.
    await page.getByRole('link', { name: 'All cameras' }).click();
    await page.getByTestId('edit-modes').click();
    await expect(page.getByRole('heading', { name: 'Profiles and schedules' })).toBeFocused();
    await page.getByTestId('add-home').click();
    await page.getByTestId('add-away').click();
    await page.getByTestId('how-away-yard').selectOption('off');
    await page.getByTestId('add-schedule').click();
    await page.getByTestId('schedule-0').getByLabel('From').fill('03:00');
    await page.getByTestId('schedule-0').getByLabel('To').fill('03:05');
    await page.getByTestId('schedule-profile-0').selectOption('away');
    await lookAt(page, 'modes');
    await page.getByTestId('save-modes').click();
    await expect(page.getByText('Saved.')).toBeVisible();
    const want = `
[profile.away]
name = "Away"

[profile.away.cameras]
yard = { off = true }

[profile.home]
name = "Home"

[[schedule]]
from = "03:00"
to = "03:05"
profile = "away"
`;
    expect(box.config().trim().endsWith(want.trim()), box.config()).toBe(true);

    // Two at once: who saves second is told what the other made of the profile, and keeps what they wrote.
    const second = await page.context().newPage();
    await second.goto(`${box.url}/settings/modes`);
    await second.getByTestId('how-home-front').selectOption('none');
    await page.getByTestId('how-home-yard').selectOption('motion');
    await page.getByTestId('how-home-front').selectOption('continuous');
    await page.getByTestId('save-modes').click();
    await expect(page.getByText('Saved.')).toBeVisible();
    await second.getByTestId('save-modes').click();
    const card = second.getByTestId('profile-card-home');
    await expect(card.getByRole('alert')).toContainText('Somebody else set this meanwhile');
    await expect(second.getByTestId('how-home-front')).toHaveValue('none');
    await expect(second.getByTestId('how-home-yard')).toHaveValue('motion');
    await second.getByTestId('save-modes').click();
    await expect(second.getByText('Saved.')).toBeVisible();
    expect(box.config()).toContain('[profile.home.cameras]');
    await second.getByTestId('how-home-front').selectOption('own');
    await second.getByTestId('how-home-yard').selectOption('own');
    await second.getByTestId('save-modes').click();
    await expect.poll(() => box.config()).not.toContain('[profile.home.cameras]');
    await second.close();

    // One tap chooses: what it names is off, what it does not name plays on.
    await page.getByRole('link', { name: 'Back to the cameras' }).click();
    await page.getByTestId('profile-away').click();
    await expect(page.getByTestId('profile-away')).toHaveAttribute('aria-pressed', 'true');
    await expect(page.getByTestId('off-yard')).toContainText('Switched off by the profile Away');
    await expect(playing(page, 'front')).toBeVisible({ timeout: 60_000 });
    await lookAt(page, 'live-profile');
    await page.getByTestId('profile-home').click();
    await expect(playing(page, 'yard')).toBeVisible({ timeout: 60_000 });

    // The whole box.
    await page.getByTestId('switch-all-off').click();
    await page.getByTestId('off-hour').click();
    for (const id of ['front', 'yard'])
      await expect(page.getByTestId(`off-${id}`)).toContainText('On again at');
    await page.getByTestId('switch-all-on').click();
    for (const id of ['front', 'yard']) await expect(playing(page, id)).toBeVisible({ timeout: 60_000 });
    silent();
  } finally {
    await box.stop();
  }
});
