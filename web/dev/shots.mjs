// Screenshots of every page and state against the mock box, with axe-core and the console watched.
// Usage: node dev/mock.mjs & node dev/shots.mjs [folder] [name filter]
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './browser.mjs';
import { normal } from './fake-data.mjs';

const box = process.env.PERCH_BOX ?? 'http://localhost:8080';
const folder = process.argv[2] ?? 'test-results/shots';
const only = process.argv[3] ?? '';
const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
mkdirSync(folder, { recursive: true });

const still = (ms) => new Promise((done) => setTimeout(done, ms));
/** Yesterday, as a field of dates takes it. */
const dayBefore = () => {
  const day = new Date(Date.now() - 86_400_000);
  return [day.getFullYear(), day.getMonth() + 1, day.getDate()]
    .map((n) => String(n).padStart(2, '0'))
    .join('-');
};
const shots = [
  { name: 'pair-unclaimed', path: '/', scenario: { claimed: false, signed_in: false } },
  {
    name: 'pair-wrong',
    path: '/pair#pair=11112222',
    scenario: { signed_in: false },
    act: (p) => p.getByTestId('pair-submit').click(),
  },
  {
    name: 'system-connection',
    path: '/system/connection',
    act: (p) => p.getByTestId('doctor-start').click(),
    settle: 14_000,
  },
  { name: 'login', path: '/login', scenario: { signed_in: false } },
  { name: 'live', path: '/live', settle: 2500 },
  { name: 'live-moving', path: '/live', settle: 2500, scenario: { moving: true, overloaded: true } },
  {
    name: 'camera-overloaded',
    path: '/camera/garden',
    settle: 2500,
    scenario: { moving: true, overloaded: true },
  },
  { name: 'events-moving', path: '/events', settle: 800, scenario: { moving: true } },
  {
    name: 'event-moving',
    path: '/events',
    scenario: { moving: true },
    settle: 2500,
    act: (p) => p.locator('[data-testid^=event-card-]').first().click(),
  },
  {
    name: 'event-part',
    path: '/events',
    scenario: { moving: true },
    settle: 2500,
    act: (p) => p.locator('button', { hasText: 'Part 2 of' }).first().click(),
  },
  {
    name: 'system-overloaded',
    path: '/system/cameras#camera-garden',
    settle: 800,
    scenario: { overloaded: true },
  },
  { name: 'live-off', path: '/live', settle: 1500, scenario: { off: true } },
  { name: 'camera-off', path: '/camera/front', settle: 1500, scenario: { off: true } },
  { name: 'modes', path: '/settings/modes', settle: 500, scenario: { off: true } },
  { name: 'modes-empty', path: '/settings/modes', settle: 500 },
  { name: 'live-empty', path: '/live', scenario: { empty: true } },
  { name: 'live-error', path: '/live', scenario: { failing: true } },
  { name: 'camera', path: '/camera/front', settle: 2500 },
  { name: 'camera-talk', path: '/camera/front', settle: 2500, scenario: { talk: true } },
  {
    name: 'announcements',
    path: '/camera/front/settings',
    settle: 1500,
    scenario: { talk: true },
    act: (p) => p.getByTestId('announcements').scrollIntoViewIfNeeded(),
  },
  {
    name: 'announcements-empty',
    path: '/camera/front/settings',
    settle: 1500,
    act: (p) => p.getByTestId('announcements').scrollIntoViewIfNeeded(),
  },
  {
    name: 'camera-playback',
    path: '/camera/front',
    settle: 1500,
    act: async (p) => {
      const strip = p.getByTestId('timeline');
      const size = await strip.boundingBox();
      await strip.click({ position: { x: size.width * 0.55, y: 40 } });
      await p.locator('[data-testid=playback-video][data-phase=playing]').waitFor({ timeout: 8000 });
      await p.getByTestId('save-clip').click();
    },
  },
  {
    name: 'camera-send-clip',
    path: '/camera/front',
    settle: 1500,
    scenario: { sent: true },
    act: async (p) => {
      const strip = p.getByTestId('timeline');
      const size = await strip.boundingBox();
      await strip.click({ position: { x: size.width * 0.55, y: 40 } });
      await p.getByTestId('save-clip').click();
      await p.getByTestId('send-clip').click();
      await p.getByTestId('sent-ranges').scrollIntoViewIfNeeded();
    },
  },
  { name: 'events', path: '/events', settle: 800 },
  { name: 'events-empty', path: '/events', scenario: { empty: true } },
  {
    name: 'event-dialog',
    path: '/events',
    act: async (p) => {
      await p.locator('[data-testid^=event-card-]').first().click();
      await p.locator('[data-testid=playback-video][data-phase=playing]').waitFor({ timeout: 8000 });
    },
  },
  {
    name: 'event-send',
    path: '/events',
    scenario: { sent: true },
    act: async (p) => {
      await p.locator('[data-testid^=event-card-]').first().click();
      await p.getByTestId('event-send').click();
      await p.getByTestId('send-range').scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'event-why',
    path: '/events',
    act: async (p) => {
      await p.locator('[data-testid^=event-card-]').first().click();
      await p.getByTestId('event-why').click();
    },
  },
  { name: 'system', path: '/system', settle: 600 },
  ...['cameras', 'storage', 'copies', 'people', 'device', 'box', 'log'].map((part) => ({
    name: `system-${part}`,
    path: `/system/${part}`,
    settle: 600,
  })),
  {
    name: 'copies-add',
    path: '/system/copies',
    act: async (p) => {
      await p.getByTestId('add-store').click();
      await p.getByTestId('asked-region').fill('eu-central-1');
      await p.getByTestId('bucket').fill('perch-at-home');
      await p.getByTestId('access-key').fill('AKIA');
      await p.getByTestId('secret-key').fill('secret');
      await p.getByTestId('try-target').click();
      await p.getByTestId('probe-lines').waitFor();
    },
  },
  {
    name: 'copies-key',
    path: '/system/copies',
    act: async (p) => {
      await p.getByTestId('add-store').click();
      await p.getByTestId('encryption-new').check();
      await p.getByTestId('make-key').click();
      await p.getByTestId('key-tail').fill('WRONGX');
      await p.getByTestId('key-tail').scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'camera-from-copy',
    path: '/camera/front',
    settle: 1500,
    act: async (p) => {
      await p.getByTestId('timeline-day').fill(dayBefore());
      const strip = p.getByTestId('timeline');
      const size = await strip.boundingBox();
      await strip.click({ position: { x: size.width * 0.06, y: 60 } });
      await p.getByText(/^From the copy/).waitFor({ timeout: 8000 });
    },
  },
  { name: 'system-error', path: '/system', scenario: { failing: true } },
  { name: 'system-cameras-error', path: '/system/cameras', scenario: { failing: true } },
  { name: 'system-empty', path: '/system', scenario: { empty: true } },
  { name: 'unknown', path: '/foo/bar' },
  ...[
    'idle',
    'unsupported',
    'updated',
    'rolled_back',
    'refused',
    'ready',
    'installing',
    'restarting',
    'trial',
  ].map((update) => ({
    name: `update-${update}`,
    path: '/system/box',
    scenario: { update },
    act: (p) => p.getByTestId('update-card').scrollIntoViewIfNeeded(),
  })),
  {
    name: 'add-phone',
    path: '/system/people',
    act: async (p) => {
      await p.getByTestId('add-phone').click();
      await p.getByTestId('make-code').click();
    },
  },
  { name: 'people-none', path: '/system/people', scenario: { people: 0, empty: true } },
  { name: 'people-one', path: '/system/people', scenario: { people: 1 } },
  { name: 'people-many', path: '/system/people', scenario: { people: 12 } },
  {
    name: 'person',
    path: '/system/people',
    act: (p) => p.getByRole('button', { name: /Change what grandma/ }).click(),
  },
  { name: 'person-new', path: '/system/people', act: (p) => p.getByTestId('add-account').click() },
  {
    name: 'device',
    path: '/system/people',
    act: (p) => p.getByRole('button', { name: 'Change Chrome on Linux of grandma' }).first().click(),
  },
  {
    name: 'device-remove',
    path: '/system/people',
    act: async (p) => {
      await p.getByRole('button', { name: 'Change Chrome on Linux of grandma' }).first().click();
      await p.getByTestId('device-remove').click();
      await p.getByTestId('how-password').check();
    },
  },
  {
    name: 'player',
    path: '/system/people',
    act: async (p) => {
      await p.getByTestId('add-stream-password').click();
      await p.getByTestId('player-name').fill('recorder');
      await p.getByTestId('player-submit').click();
      await p.getByText('For go2rtc').click();
    },
  },
  {
    name: 'cut-off',
    path: '/system/people',
    act: (p) => p.getByTestId('cut-off').first().click(),
  },
  { name: 'settings', path: '/settings' },
  {
    name: 'settings-changed',
    path: '/settings',
    settle: 900,
    act: async (p) => {
      await p.getByTestId('setting-recording.max_days').fill('14');
      await p.getByTestId('setting-http.listen').fill('0.0.0.0:9443');
    },
  },
  {
    name: 'settings-saved',
    path: '/settings',
    act: async (p) => {
      await p.getByTestId('setting-recording.max_days').fill('14');
      await p.getByTestId('save-settings').click();
      await p.getByTestId('undo-settings').waitFor();
    },
  },
  {
    name: 'settings-refused',
    path: '/settings',
    scenario: { settings: 'odd' },
    settle: 900,
    act: async (p) => {
      await p.getByTestId('setting-recording.max_days').fill('14');
      await p.getByTestId('setting-access.otp_digits').fill('x');
      await p.getByTestId('setting-access.otp_digits').fill('9');
    },
  },
  {
    name: 'settings-overtaken',
    path: '/settings',
    scenario: { settings: 'overtaken' },
    settle: 900,
    act: (p) => p.getByTestId('setting-recording.max_days').fill('14'),
  },
  { name: 'settings-locked', path: '/settings', scenario: { settings: 'locked' } },
  { name: 'settings-set', path: '/settings', scenario: { settings: 'set' } },
  {
    name: 'versions',
    path: '/settings',
    act: async (p) => {
      const versions = p.getByTestId('versions');
      await versions
        .getByRole('button', { name: /What differs/ })
        .first()
        .click();
      await versions.scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'versions-back',
    path: '/settings',
    act: (p) =>
      p
        .getByRole('button', { name: /Take back/ })
        .first()
        .click(),
  },
  { name: 'add-camera', path: '/add-camera', scenario: { empty: true } },
  { name: 'add-camera-locked', path: '/add-camera', scenario: { empty: true, settings: 'locked' } },
  {
    name: 'add-camera-lacking',
    path: '/add-camera',
    scenario: { empty: true },
    act: (p) => p.getByTestId('send-camera').click(),
  },
  { name: 'add-camera-none', path: '/add-camera', scenario: { empty: true, finding: 'none' } },
  ...['admin', 'wrong', 'slow'].map((user) => ({
    name: `add-camera-${user}`,
    path: '/add-camera',
    scenario: { empty: true },
    settle: 600,
    act: async (p) => {
      await p.getByRole('button', { name: /Yard cam/ }).click();
      await p.getByTestId('camera-user').fill(user);
      await p.getByTestId('camera-password').fill('secret');
      await p.getByTestId('try-camera').click();
    },
  })),
  {
    name: 'add-camera-reused',
    path: '/add-camera',
    scenario: { empty: true, settings: 'reused' },
    act: async (p) => {
      await p.getByTestId('camera-place').fill('rtsp://192.168.1.20/stream1');
      await p.getByTestId('camera-name').fill('Front door');
      await p.getByTestId('send-camera').click();
      await p.getByTestId('adding-warning').scrollIntoViewIfNeeded();
    },
  },
  ...['live', 'wrong'].map((settings) => ({
    name: `camera-added-${settings}`,
    path: '/add-camera',
    scenario: { empty: true, settings },
    settle: 2500,
    act: async (p) => {
      await p.getByTestId('camera-place').fill('rtsp://admin:secret@192.168.1.20/stream1');
      await p.getByTestId('camera-name').fill('Front door');
      await p.getByTestId('send-camera').click();
      await p.getByTestId('added-camera').waitFor();
    },
  })),
  { name: 'camera-settings', path: '/camera/front/settings' },
  {
    name: 'areas-selected',
    path: '/camera/front/settings',
    act: async (p) => {
      await p.getByRole('button', { name: 'Change Zone 1' }).click();
      await p.getByTestId('areas').scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'areas-drawing',
    path: '/camera/front/settings',
    act: async (p) => {
      await p.getByRole('button', { name: 'Draw a mask' }).click();
      for (const key of [
        ' ',
        'Shift+ArrowRight',
        'Shift+ArrowRight',
        ' ',
        'Shift+ArrowDown',
        'Shift+ArrowDown',
        ' ',
      ])
        await p.keyboard.press(key === ' ' ? 'Space' : key);
    },
  },
  {
    name: 'areas-passed',
    path: '/camera/garden/settings',
    act: (p) => p.getByTestId('passed-on').scrollIntoViewIfNeeded(),
  },
  {
    name: 'sound-meter',
    path: '/camera/front/settings',
    settle: 1500,
    act: async (p) => {
      await p.getByRole('button', { name: 'Show how loud it is' }).click();
      await p.getByTestId('sound-meter').scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'draft-kept',
    path: '/camera/front/settings',
    act: async (p) => {
      await p.getByTestId('setting-camera[].name').fill('Entrance');
      await p.getByTestId('nav-live').first().click();
    },
  },
  {
    name: 'camera-address',
    path: '/camera/front/settings',
    act: async (p) => {
      await p.getByRole('button', { name: 'Change the address' }).click();
      await p.getByTestId('camera-place').scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'camera-remove',
    path: '/camera/front/settings',
    act: (p) => p.getByTestId('remove-camera').click(),
  },
];
/** Of these all is shown, also below the window. */
const WHOLE = [
  'system',
  'system-cameras',
  'system-people',
  'people-none',
  'people-one',
  'people-many',
  'system-box',
  'system-log',
  'settings',
  'add-camera',
  'camera-settings',
  'camera-added-wrong',
];
const sizes = [
  { name: 'phone', viewport: { width: 360, height: 740 } },
  { name: 'desktop', viewport: { width: 1440, height: 900 } },
].flatMap(({ name, viewport }) =>
  ['light', 'dark'].map((colorScheme) => ({ name: `${name}-${colorScheme}`, viewport, colorScheme })),
);

const browser = await launch();
const set = (scenario) =>
  fetch(`${box}/dev/scenario`, { method: 'POST', body: JSON.stringify({ ...normal, ...scenario }) });
const cameraPage = await browser.newPage();
await cameraPage.goto(`${box}/dev/camera`);
let findings = 0;
for (const size of sizes) {
  for (const shot of shots.filter((s) => s.name.match(only))) {
    await set(shot.scenario ?? {});
    const context = await browser.newContext(size);
    const page = await context.newPage();
    const label = `${shot.name}-${size.name}`;
    const report = (text) => {
      findings += 1;
      console.log(`${label}: ${text}`);
    };
    // The browser itself notes every answer that is not 2xx; those are part of some states.
    page.on(
      'console',
      (m) => /Failed to load resource/.test(m.text()) || report(`console ${m.type()}: ${m.text()}`),
    );
    page.on('pageerror', (error) => report(`error: ${error.message}`));
    await page.goto(box + shot.path);
    await page.locator('h1').first().waitFor();
    try {
      await shot.act?.(page);
    } catch (error) {
      report(error.message);
    }
    await still(shot.settle ?? 500);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > size.viewport.width) report(`is ${width} px wide`);
    await page.screenshot({ path: join(folder, `${label}.png`), fullPage: WHOLE.includes(shot.name) });
    // Evaluated by the debugger, which the page's policy does not concern.
    await page.evaluate(axe);
    const result = await page.evaluate(() => globalThis.axe.run());
    for (const violation of result.violations) {
      report(
        `axe ${violation.impact} ${violation.id}: ${violation.nodes.map((n) => n.target.join(' ')).join(', ')}`,
      );
    }
    await context.close();
  }
}
await browser.close();
console.log(findings === 0 ? 'no findings' : `${findings} findings`);
process.exitCode = findings === 0 ? 0 : 1;
