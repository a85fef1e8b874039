// Live by relays, with a real coturn: the browser's, the box's, and both; over UDP, TCP and TLS; picture and talk. What is said of a relay
// that refuses.
import type { Browser, BrowserContext, Page } from '@playwright/test';
import { type Box, startBox } from './box';
import { SPEAKING_CAMERA, withMicrophone } from './microphone';
import { type Relay, outside, startRelay } from './relay';
import { NOBODY, expect, expectAccessible, lookAt, pairWith, received, test, watchPeers } from './steps';

test.use({ storageState: NOBODY });
test.describe.configure({ mode: 'serial' });

const ip = outside();
test.skip(!ip, 'this machine has no IPv4 address but loopback');

let relay: Relay;
let browser: Browser;

test.beforeAll(async () => {
  relay = await startRelay(ip!);
  browser = await withMicrophone();
});

test.afterAll(async () => {
  await browser?.close();
  await relay?.stop();
});

/** A box that knows the relay by these URLs, and its owner's browser. */
async function boxWith(...urls: string[]): Promise<{ box: Box; owner: BrowserContext; token: string }> {
  const box = await startBox(`${relay.config(...urls)}${SPEAKING_CAMERA}`);
  const owner = await browser.newContext({ ignoreHTTPSErrors: true });
  return { box, owner, token: await pairWith(box, owner) };
}

/** The box's camera in a page that uses relays alone, or all that there is. */
async function camera(box: Box, owner: BrowserContext, relayOnly: boolean): Promise<Page> {
  const page = await owner.newPage();
  if (relayOnly) {
    await page.addInitScript(() => {
      const Native = window.RTCPeerConnection;
      window.RTCPeerConnection = class extends Native {
        constructor(config?: RTCConfiguration) {
          super({ ...config, iceTransportPolicy: 'relay' });
        }
      };
    });
  }
  await watchPeers(page);
  await page.goto(`${box.url}/camera/door`);
  return page;
}

/** The kinds of both ends of the pair that media goes by, and how the browser reaches its relay. */
function pair(page: Page): Promise<{ here: string; there: string; by: string | null }> {
  return page.evaluate(async () => {
    const { peers } = window as unknown as { peers: RTCPeerConnection[] };
    const peer = peers.find((one) => one.connectionState === 'connected');
    const report = await peer!.getStats();
    const all = [...report.values()];
    const used = all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
    const [here, there] = [report.get(used.localCandidateId), report.get(used.remoteCandidateId)];
    return {
      here: here.candidateType,
      there: there.candidateType,
      by: here.relayProtocol ?? null,
    };
  });
}

async function isSeenAndHeard(box: Box, page: Page, token: string): Promise<void> {
  const frames = async () => (await received(page)).reduce((sum, row) => sum + row.framesDecoded, 0);
  await expect.poll(frames, { timeout: 20_000 }).toBeGreaterThan(10);
  const peak = async () => {
    const { talk } = (await box.call('GET', '/api/v1/cameras/door', token)).json;
    return talk.level?.peak_db ?? -96;
  };
  expect(await peak()).toBeLessThan(-60);
  await page.getByTestId('hold-to-talk').hover();
  await page.mouse.down();
  await expect.poll(peak, { timeout: 20_000 }).toBeGreaterThan(-40);
  await page.mouse.up();
  await expect.poll(peak, { timeout: 20_000 }).toBeLessThan(-60);
}

for (const by of ['udp', 'tcp', 'tls'] as const) {
  test(`by the browser’s relay over ${by}, by the box’s, and by both, one sees and is heard`, async () => {
    test.slow();
    const { box, owner, token } = await boxWith(relay.urls[by]);
    try {
      let page = await camera(box, owner, true);
      await isSeenAndHeard(box, page, token);
      expect(await pair(page)).toMatchObject({ here: 'relay', by });
      if (by === 'udp') {
        await page.getByTestId('health').click();
        await expect(page.getByTestId('health-line')).toContainText('relayed');
        await lookAt(page, 'camera-relayed');
      }
      await page.close();

      // The box's own is told once it is there.
      const change = { webrtc: { relay_only: true } };
      const changed = await box.call('PATCH', '/api/v1/settings', token, change, '*');
      expect(changed.status).toBe(200);
      for (const relayOnly of [false, true]) {
        page = await camera(box, owner, relayOnly);
        await isSeenAndHeard(box, page, token);
        const { here, there } = await pair(page);
        expect(there).toBe('relay');
        if (relayOnly) expect(here).toBe('relay');
        await page.close();
      }
      await owner.close();
    } finally {
      await box.stop();
    }
  });
}

test('a relay that refuses is told from one that is not reached, with what to do', async () => {
  const { box, owner } = await boxWith(relay.urls.udp);
  try {
    for (const [url, lapseS, words] of [
      [relay.urls.udp, -60, /relay refuses/],
      ['turn:127.0.0.1:9?transport=tcp', 600, /relay cannot be reached/],
    ] as const) {
      // What is said stands there with and without a picture over HTTPS; here without.
      await owner.route(/live\.m3u8/, (route) => route.fulfill({ body: '#EXTM3U' }));
      await owner.route('**/api/v1/ice-servers', (route) =>
        route.fulfill({
          json: { ice_servers: [{ urls: [url], ...relay.credential(lapseS) }] },
        }),
      );
      const page = await camera(box, owner, true);
      await expect(page.getByText(words)).toBeVisible({ timeout: 30_000 });
      await expectAccessible(page);
      await lookAt(page, `camera-relay-${lapseS < 0 ? 'refuses' : 'away'}`);
      await page.close();
      await owner.unroute('**/api/v1/ice-servers');
    }
    await owner.close();
  } finally {
    await box.stop();
  }
});

test('the connection doctor says of each way whether it works, from the browser and from the box', async () => {
  const { box, owner, token } = await boxWith(
    relay.urls.udp,
    relay.urls.tcp,
    relay.urls.tls,
    'turn:127.0.0.1:9',
  );
  try {
    const page = await owner.newPage();
    await page.goto(`${box.url}/system/connection`);
    await page.getByTestId('doctor-start').click();
    await expect(page.getByTestId('doctor-start')).toHaveText('Trying…');
    await expect(page.getByTestId('doctor-start')).toHaveText('Try again', {
      timeout: 60_000,
    });
    const rows = (side: string) =>
      page
        .getByTestId(`doctor-${side}`)
        .locator('li')
        .evaluateAll((all) =>
          all.map((row) => `${row.dataset.way} ${row.dataset.works === 'true' ? 'works' : 'fails'}`),
        );
    expect(await rows('here')).toEqual([
      'direct works',
      'ipv6 fails',
      'stun fails',
      'turn_udp works',
      'turn_udp fails',
      'turn_tcp works',
      'turn_tls works',
      'hls works',
    ]);
    const fromBox = await rows('box');
    for (const way of ['turn_udp works', 'turn_udp fails', 'turn_tcp works', 'turn_tls works'])
      expect(fromBox).toContain(way);
    await expect(page.getByTestId('doctor-away')).toContainText('by the relay over UDP');
    await lookAt(page, 'system-connection');
    // What was tried is over.
    await expect
      .poll(async () => (await box.call('GET', '/api/v1/live', token)).json.sessions.length)
      .toBe(0);
    await owner.close();
  } finally {
    await box.stop();
  }
});
