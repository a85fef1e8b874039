// Cameras sent on to other servers: by WHIP into a real Janus, whose picture a browser decodes; pulled by Janus; and the form for it. A clip
// sent to one.
import { type ChildProcess, spawn } from 'node:child_process';
import { type Box, freePort, startBox } from './box';
import { lacks, startJanus, watchJanus } from './janus';
import { NOBODY, expect, expectAccessible, lookAt, pairWith, test } from './steps';

test.use({ storageState: NOBODY });

const camera = (more = '') => `
[[camera]]
id = "front"
name = "Front door"
source = "test"
width = 320
height = 180
fps = 15
bitrate_kbps = 400
sub = { width = 160, height = 90 }
audio = { source = "test" }
record = { mode = "off" }
motion = { enabled = false }
${more}`;

async function pushIs(box: Box, token: string, state: string): Promise<void> {
  const is = async () => {
    const [push] = (await box.call('GET', '/api/v1/cameras/front', token)).json.push ?? [];
    return `${push?.state}: ${push?.reason}`;
  };
  await expect.poll(is, { timeout: 60_000 }).toMatch(new RegExp(`^${state}`));
}

test('a camera is seen in the room of a Janus that it is pushed to, before and after that was gone', async ({
  page,
  context,
}) => {
  const why = lacks();
  test.skip(why !== undefined, why);
  const janus = await startJanus('S3CRETTOKEN');
  const box = await startBox(camera(`push = [{ url = "${janus.whip}" }]`));
  try {
    const token = await pairWith(box, context);
    await page.goto(`${janus.api}/info`);
    for (let round = 0; round < 2; round++) {
      await pushIs(box, token, 'sending');
      const seen = await watchJanus(page, janus.api, 'room');
      expect(seen, `round ${round}`).toMatchObject({ width: 320, height: 180 });
      await janus.down();
      await pushIs(box, token, 'failing');
      await janus.up();
    }
    const told = JSON.stringify((await box.call('GET', '/api/v1/status', token)).json);
    expect(told).not.toContain('S3CRET');
  } finally {
    await box.stop();
    await janus.stop();
  }
});

test('a Janus that has another token is refused in words', async ({ context }) => {
  const why = lacks();
  test.skip(why !== undefined, why);
  const janus = await startJanus('right');
  const box = await startBox(camera(`push = [{ url = "${janus.whip.replace(':right@', ':wrong@')}" }]`));
  try {
    const token = await pairWith(box, context);
    await pushIs(box, token, 'failing');
    const { json } = await box.call('GET', '/api/v1/cameras/front', token);
    expect(json.push[0].reason).toContain('refuses the token');
  } finally {
    await box.stop();
    await janus.stop();
  }
});

test('a Janus pulls the camera by RTSP', async ({ page, context }) => {
  const why = lacks();
  test.skip(why !== undefined, why);
  const box = await startBox(camera());
  const token = await pairWith(box, context);
  const made = await box.call('POST', '/api/v1/stream-passwords', token, { name: 'janus' });
  const janus = await startJanus('x', {
    url: `rtsp://127.0.0.1:${box.rtspPort}/front`,
    user: 'janus',
    password: made.json.password,
  });
  try {
    await page.goto(`${janus.api}/info`);
    expect(await watchJanus(page, janus.api, 'stream')).toMatchObject({ width: 320, height: 180 });
  } finally {
    await janus.stop();
    await box.stop();
  }
});

test('servers are added and removed in the settings, which say how each is', async ({ page, context }) => {
  const box = await startBox(camera());
  try {
    await pairWith(box, context);
    await page.goto(`${box.url}/camera/front/settings`);
    const card = page.getByTestId('pushes');
    await expect(card.getByText('It is sent nowhere.')).toBeVisible();
    await card.getByRole('button', { name: 'Send there' }).click();
    const address = card.getByLabel('Address of the server');
    await expect(address).toBeFocused();
    await expect(address).toHaveAccessibleDescription(/Write the whole address/);
    await address.fill('rtmp://127.0.0.1:9/live/S3CRETKEY');
    await card.getByRole('button', { name: 'Send there' }).click();
    await expect(card.getByText('Begins when you save.')).toBeVisible();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await expect(
      card.getByText('Does not work, and is tried again: 127.0.0.1 cannot be reached'),
    ).toBeVisible();
    await expect(card.getByText('rtmp://127.0.0.1:9/live/…')).toBeVisible();
    expect(box.config()).not.toContain('S3CRET');
    await expect(page.locator('body')).not.toContainText('S3CRET');
    await expectAccessible(page);
    await lookAt(page, 'push');
    await card.getByRole('button', { name: /^Remove rtmp/ }).click();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await expect(card.getByText('It is sent nowhere.')).toBeVisible();
    await expect.poll(() => box.config()).not.toContain('rtmp');
  } finally {
    await box.stop();
  }
});

/** An RTMP server that takes what is sent to it once. */
function takesRtmp(port: number, file: string): ChildProcess {
  const listens = ['-v', 'error', '-y', '-listen', '1', '-i', `rtmp://127.0.0.1:${port}/live/S3CRETKEY`];
  return spawn('ffmpeg', [...listens, '-c', 'copy', file], { stdio: 'ignore' });
}

test('a clip is sent to a server, stopped, and said to fail where none is', async ({
  page,
  context,
}, info) => {
  test.slow();
  const box = await startBox(camera().replace('mode = "off"', 'mode = "continuous"'));
  const port = await freePort();
  const server = takesRtmp(port, info.outputPath('taken.flv'));
  try {
    const token = await pairWith(box, context);
    const hour = (ms: number) => new Date(Date.now() + ms).toISOString();
    const recordedMs = async () => {
      const path = `/api/v1/cameras/front/timeline?from=${hour(-3_600_000)}&to=${hour(3_600_000)}`;
      const { spans } = (await box.call('GET', path, token)).json;
      return spans.reduce((sum: number, s: any) => sum + Date.parse(s.end) - Date.parse(s.start), 0);
    };
    await expect.poll(recordedMs, { timeout: 90_000 }).toBeGreaterThan(20_000);
    await page.goto(`${box.url}/camera/front`);
    await page.getByTestId('save-clip').click();
    await page.getByTestId('send-clip').click();
    const form = page.getByTestId('send-range');
    await form.getByLabel('Address of the server').fill('rtmp://127.0.0.1');
    await form.getByRole('button', { name: 'Send' }).click();
    await expect(form.getByRole('alert')).toContainText('Write the whole address');
    await form.getByLabel('Address of the server').fill(`rtmp://127.0.0.1:${port}/live/S3CRETKEY`);
    await form.getByRole('button', { name: 'Send' }).click();
    const list = page.getByTestId('sent-ranges');
    await expect(list.getByRole('progressbar')).toBeVisible();
    await expect(list.getByText(/ s of .* s are sent\./)).toBeVisible({ timeout: 60_000 });
    await list.getByRole('button', { name: /^Stop sending/ }).click();
    await expect(list.getByText(/It was stopped after/)).toBeVisible();

    // ffmpeg takes one alone: the next finds nobody.
    await page.getByTestId('send-clip').click();
    await form.getByLabel('Address of the server').fill('rtmp://127.0.0.1:9/live/S3CRETKEY');
    await form.getByRole('button', { name: 'Send' }).click();
    await expect(list.getByText(/127\.0\.0\.1 cannot be reached/)).toBeVisible({ timeout: 60_000 });
    await expectAccessible(page);
    await lookAt(page, 'send-clip');
    await list
      .getByRole('button', { name: /^Remove/ })
      .first()
      .click();
    await expect(list.getByRole('listitem')).toHaveCount(1);
    await expect(page.locator('body')).not.toContainText('S3CRET');
    const told = await box.call('GET', '/api/v1/cameras/front/push-range', token);
    expect(JSON.stringify(told.json)).not.toContain('S3CRET');
  } finally {
    server.kill();
    await box.stop();
  }
});
