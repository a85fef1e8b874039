// Times as browsers of other languages write them, by the clock and the zone that somebody chose.
import type { Page } from '@playwright/test';
import { startBox } from './box';
import { NOBODY, expect, expectAccessible, expectSilence, pairWith, settled, test } from './steps';

/** All that a page shows and says, with what stands in titles and labels. */
const wordsOf = (page: Page) =>
  page.evaluate(() => {
    const said = [...document.querySelectorAll('[title],[aria-label],[aria-valuetext]')].flatMap((e) =>
      ['title', 'aria-label', 'aria-valuetext'].map((name) => e.getAttribute(name) ?? ''),
    );
    return [document.body.innerText, ...said].join('\n');
  });

/** Digits and letters of other scripts, and days and months that are German. */
const FOREIGN =
  /[\u0600-\u06ff]|(Mon|Diens|Donners|Frei|Sams|Sonn)tag|Mittwoch|Januar|Februar|März|Oktober|Dezember|\bUhr\b/;
const PATHS = ['/live', '/camera/hall', '/events', '/system', '/system/people', '/system/box', '/system/log'];

test.use({ storageState: NOBODY });

for (const { locale, hour12 } of [
  { locale: 'de-DE', hour12: false },
  { locale: 'ar-EG', hour12: true },
]) {
  test(`a browser in ${locale} reads English dates, in Latin digits, by the clock that was chosen`, async ({
    browser,
  }) => {
    test.slow();
    const box = await startBox(`
[[camera]]
id = "hall"
name = "Hall"
source = "test"
width = 320
height = 180
fps = 8
bitrate_kbps = 300
record = { mode = "continuous" }
motion = { enabled = false }`);
    try {
      const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        locale,
        timezoneId: 'Asia/Tokyo',
      });
      const token = await pairWith(box, context);
      const { json } = await box.call('GET', '/api/v1/modes', token);
      const page = await context.newPage();
      const silent = expectSilence(page);
      for (const path of PATHS) {
        await page.goto(box.url + path);
        await expect(page.locator('main h1').first()).toBeVisible();
        await settled(page);
        expect(FOREIGN.exec(await wordsOf(page))?.[0], path).toBeUndefined();
      }

      /** A line of the log as it is written, and as it should be. */
      const compare = async (timeZone: string, hour12: boolean) => {
        await page.getByTestId('system-part-log').click();
        const time = page.locator('time').first();
        const [at, said] = await Promise.all([time.getAttribute('datetime'), time.textContent()]);
        const options = { timeZone, minute: '2-digit' } as const;
        const format = hour12
          ? new Intl.DateTimeFormat('en-GB', { ...options, hour: 'numeric', hourCycle: 'h12' })
          : new Intl.DateTimeFormat('en-GB', { ...options, hour: '2-digit', hourCycle: 'h23' });
        const plain = (text: string) => text.replaceAll('\u202f', ' ').trim().toLowerCase();
        expect(plain(said ?? '')).toContain(plain(format.format(Date.parse(at ?? ''))));
      };
      await compare('Asia/Tokyo', hour12);

      await page.getByTestId('system-part-device').click();
      const zones = `Mine is Asia/Tokyo, the box’s is ${json.time_zone}.`;
      await expect(page.getByTestId('zones')).toHaveText(zones);
      await page.getByTestId(hour12 ? 'hours-24' : 'hours-12').click();
      await page.getByTestId('zone-box').click();
      await expect(page.getByTestId('zone-box')).toHaveAttribute('aria-pressed', 'true');
      await expectAccessible(page);
      await compare(json.time_zone, !hour12);
      // It is remembered.
      await page.reload();
      await compare(json.time_zone, !hour12);
      silent();
      await context.close();
    } finally {
      await box.stop();
    }
  });
}
