// Announcements: uploaded in the settings, played from the camera's page, played by themselves when something happens, deleted.
import { execFileSync } from 'node:child_process';
import { type Box, startBox } from './box';
import { wav } from './microphone';
import { NOBODY, expect, expectAccessible, lookAt, pairWith, test } from './steps';

test.use({ storageState: NOBODY });

const tone = (s: number) => 0.7 * Math.sin(2 * Math.PI * 440 * s);

/** Writes a clip in which somebody walks by from the sixth to the twelfth of its twenty seconds. */
function walker(path: string): void {
  const room = ['-f', 'lavfi', '-i', 'color=c=gray:s=320x180:r=15:d=20'];
  const person = ['-f', 'lavfi', '-i', 'color=c=white:s=36x72:r=15:d=20'];
  const walks = "[0][1]overlay=x='if(between(t,6,12),(t-6)*45,-200)':y=80:eval=frame";
  const coded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'];
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...room, ...person, '-filter_complex', walks, ...coded, path]);
}

const config = (clip: string) => `
[[camera]]
id = "door"
name = "Front door"
source = "file:${clip}"
width = 320
height = 180
fps = 15
bitrate_kbps = 400
record = { mode = "off" }
motion = { enabled = true }
talkback = { sink = "test" }`;

async function talk(box: Box, token: string): Promise<{ speaker: string | null; peak: number }> {
  const { talk } = (await box.call('GET', '/api/v1/cameras/door', token)).json;
  return { speaker: talk.speaker, peak: talk.level?.peak_db ?? -96 };
}

test('an announcement is uploaded, played, and played by itself when somebody walks by', async ({
  page,
  context,
}, info) => {
  test.slow();
  const [clip, sound] = [info.outputPath('walker.mp4'), info.outputPath('Parcels please.wav')];
  walker(clip);
  wav(sound, 1, tone);
  const box = await startBox(config(clip));
  try {
    const token = await pairWith(box, context);
    const loud = () => expect.poll(async () => (await talk(box, token)).peak, { timeout: 60_000 });
    await page.goto(`${box.url}/camera/door/settings`);
    const card = page.getByTestId('announcements');
    await expect(card.getByText('None yet.')).toBeVisible();
    await card.getByLabel('WAV file').setInputFiles({
      name: 'song.wav',
      mimeType: 'audio/wav',
      buffer: Buffer.from('RIFF and no more'),
    });
    await card.getByRole('button', { name: 'Upload' }).click();
    await expect(card.getByRole('alert')).toContainText('WAV');
    await card.getByLabel('WAV file').setInputFiles(sound);
    await card.getByLabel('Name').fill('Parcels please');
    await card.getByRole('button', { name: 'Upload' }).click();
    await expect(card.getByText('Parcels please 1.0 s')).toBeVisible();
    const heardHere = card.getByLabel('Listen to Parcels please here');
    await expect
      .poll(() =>
        heardHere.evaluate(async (audio: HTMLAudioElement) => {
          audio.preload = 'auto';
          return audio.duration;
        }),
      )
      .toBeCloseTo(1, 1);
    await expectAccessible(page);
    await lookAt(page, 'announcements');

    await page.goto(`${box.url}/camera/door`);
    await page.getByTestId('announcement').selectOption('Parcels please');
    await page.getByTestId('announce').click();
    await loud().toBeGreaterThan(-12);
    await loud().toBeLessThan(-40);

    // When somebody walks by, the box speaks.
    await page.goto(`${box.url}/camera/door/settings`);
    await page.getByLabel('What is played').fill('Parcels please');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await expect(page.getByTestId('save-bar')).toContainText('Saved');
    await expect.poll(() => box.config()).toContain('Parcels please');
    await expect
      .poll(async () => (await talk(box, token)).speaker, { timeout: 90_000, intervals: [100] })
      .toBe('The box');
    await loud().toBeGreaterThan(-12);

    await page.getByRole('button', { name: 'Delete Parcels please' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
    await expect(card.getByText('None yet.')).toBeVisible();
  } finally {
    await box.stop();
  }
});
