// What tests do again and again: get in, look into WebRTC, wait for pictures, look for accessibility violations.
import { AxeBuilder } from '@axe-core/playwright';
import { type BrowserContext, type Page, test as base, expect } from '@playwright/test';
import type { Box } from './box';

export const USER = { name: 'anna', password: 'a long enough password' };
/** A browser that never was here. */
export const NOBODY = { cookies: [], origins: [] };

/** Tests of the shared box: signed in, unless they say `test.use({ storageState: NOBODY })`. */
export const test = base.extend({
  baseURL: async ({}, use) => use(process.env.PERCH_TEST_URL ?? ''),
  storageState: async ({}, use) => use(JSON.parse(process.env.PERCH_TEST_SESSION ?? 'null')),
});
export { expect };

/** Signs in through the login page. */
export async function signIn(page: Page) {
  await page.goto('/login');
  await page.getByLabel('Name', { exact: true }).fill(USER.name);
  await page.getByLabel('Password', { exact: true }).fill(USER.password);
  await page.getByRole('button', { name: /sign in/i }).click();
  await expect(page.getByTestId('nav-live').first()).toBeVisible();
}

/** Pairs with a box of the test's own, makes its owner's account, and signs the browser in. Gives the paired device's token. */
export async function pairWith(box: Box, context: BrowserContext): Promise<string> {
  const paired = await box.call('POST', '/api/v1/pair', undefined, { otp: box.otp, device_name: 'tests' });
  const { token } = paired.json;
  const { name, password } = USER;
  await box.call('POST', '/api/v1/users', token, { name, password, role: 'admin' });
  const signedIn = await context.request.post(`${box.url}/api/v1/session`, {
    data: { username: name, password, device_name: 'browser' },
    headers: { origin: box.url },
  });
  expect(signedIn.status()).toBe(204);
  return token;
}

/** Types a pairing code digit by digit; the last one sends it. */
export async function typeCode(page: Page, code: string) {
  await page.getByTestId('otp-0').click();
  for (let i = 0; i < code.length; i++) await page.getByTestId(`otp-${i}`).fill(code[i] ?? '');
}

/** Waits until the live pictures in view play and every still in view has come. */
export async function settled(page: Page) {
  await page.waitForFunction(
    () => {
      const inView = (e: Element) => e.getBoundingClientRect().top < innerHeight;
      const seen = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)].filter(inView);
      const playing = seen('[data-testid=live-video]').every((v) => v.dataset.phase === 'playing');
      return playing && seen('img').every((i) => (i as HTMLImageElement).complete);
    },
    undefined,
    { timeout: 30_000 },
  );
}

/** A recording's file that ends before the bytes asked for: it was cut back to where an event begins since it was listed, and is listed anew. */
const CUT_BACK = { status: 416, file: /\/segments\/\d+\.mp4$/ };

/** Fails the test when the page prints anything to the console, or when a script fails; `borne` answers are no fault besides. */
export function expectSilence(page: Page, ...borne: { status: number; file: RegExp }[]): () => void {
  const said: string[] = [];
  const isBorne = (url: string, isStatus: (status: number) => boolean) =>
    [CUT_BACK, ...borne].some(({ status, file }) => isStatus(status) && file.test(url));
  page.on('console', (message) => {
    const { url } = message.location();
    if (!isBorne(url, (status) => message.text().includes(`${status}`)))
      said.push(`${message.type()}: ${message.text()}`);
  });
  page.on('response', (answer) => {
    if (answer.status() >= 400 && !isBorne(answer.url(), (status) => status === answer.status()))
      said.push(`${answer.status()}: ${answer.request().method()} ${answer.url()}`);
  });
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  return () => expect(said).toEqual([]);
}

/** Remembers every RTCPeerConnection of the page, so that tests can ask for its statistics. Call before the page loads. */
export async function watchPeers(page: Page) {
  await page.addInitScript(() => {
    const Native = window.RTCPeerConnection;
    const peers: RTCPeerConnection[] = [];
    Object.assign(window, { peers });
    window.RTCPeerConnection = class extends Native {
      constructor(config?: RTCConfiguration) {
        super(config);
        peers.push(this);
      }
    };
  });
}

export interface Received {
  framesDecoded: number;
  audioSamples: number;
}

/** What the page's open connections have received, one row each. */
export function received(page: Page): Promise<Received[]> {
  return page.evaluate(async () => {
    const peers = (window as unknown as { peers: RTCPeerConnection[] }).peers;
    const rows = [];
    for (const peer of peers.filter((p) => p.connectionState === 'connected')) {
      const row = { framesDecoded: 0, audioSamples: 0 };
      for (const report of (await peer.getStats()).values()) {
        if (report.type !== 'inbound-rtp') continue;
        if (report.kind === 'video') row.framesDecoded += report.framesDecoded ?? 0;
        else row.audioSamples += report.totalSamplesReceived ?? 0;
      }
      rows.push(row);
    }
    return rows;
  });
}

/** No violation that axe calls serious or critical, of all its rules or of these. */
export async function expectAccessible(page: Page, rules?: string[]) {
  // Legacy mode looks at the page itself, without a second one for frames, which there are none of.
  const axe = new AxeBuilder({ page }).setLegacyMode();
  const { violations } = await (rules ? axe.withRules(rules) : axe).analyze();
  const grave = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
  expect(grave.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' | ')}`)).toEqual([]);
}

/** A screenshot in each width, nothing wider than it, and nothing that axe calls serious. */
export async function lookAt(page: Page, name: string) {
  for (const [width, colorScheme] of [
    [360, 'dark'],
    [1440, 'light'],
  ] as const) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `test-results/shots/${name}-${width}.png`, fullPage: true });
    await expectAccessible(page);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow, `${name} is not wider than the screen`).toBeLessThanOrEqual(0);
  }
}
