// Cameras sent on to other servers: by WHIP into a real Janus, whose picture a browser decodes; pulled by Janus; and the form for it.
import { type Box, startBox } from './box';
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
    await expect(card.getByRole('alert')).toContainText('Write the whole address');
    await card.getByLabel('Address of the server').fill('rtmp://127.0.0.1:9/live/S3CRETKEY');
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
