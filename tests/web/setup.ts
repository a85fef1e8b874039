// Starts the boxes that all tests share: the one under test with four cameras, paired and signed in, and a second one that plays a
// network camera. Pictures are small and few: here software encodes, decodes and draws every one of them.
import { type Box, footage, startBox } from './box';
import { USER } from './steps';

export default async function setup() {
  const yard = await startBox(`
[[camera]]
id = "yard"
source = "test"
width = 320
height = 180
fps = 8
bitrate_kbps = 300
audio = { source = "test" }
record = { mode = "off" }
motion = { enabled = false }`);
  const paired = await yard.call('POST', '/api/v1/pair', undefined, {
    otp: yard.otp,
    device_name: 'other box',
  });
  const stream = await yard.call('POST', '/api/v1/stream-passwords', paired.json.token, { name: 'other' });
  const clip = footage('intel_person.mp4');
  if (!clip) console.warn('SKIPPED: no footage; the door camera shows the test pattern');
  const box = await startBox(`
[[camera]]
id = "test"
name = "Test"
source = "test"
width = 320
height = 180
fps = 8
bitrate_kbps = 300
audio = { source = "test" }
record = { mode = "continuous", segment_max_s = 20 }
motion = { enabled = false }

[[camera]]
id = "door"
name = "Front door"
source = "${clip ? `file:${clip}` : 'test'}"
width = 512
height = 288
fps = 8
bitrate_kbps = 500
audio = { source = "test" }
record = { mode = "motion", pre_roll_s = 2, post_roll_s = 2, gap_s = 2 }

[[camera]]
id = "yard"
name = "Yard"
source = "rtsp://other:${stream.json.password}@127.0.0.1:${yard.rtspPort}/yard"
audio = { source = "source" }
record = { mode = "continuous" }
motion = { enabled = false }

[[camera]]
id = "porch"
name = "Porch"
source = "test"
codec = "vp8"
width = 320
height = 180
fps = 8
bitrate_kbps = 300
sub = { width = 320, height = 180, fps = 8, bitrate_kbps = 200 }
audio = { source = "test" }
motion = { enabled = false }`);
  process.env.PERCH_TEST_URL = box.url;
  process.env.PERCH_TEST_SESSION = JSON.stringify(await session(box));
  return async () => {
    await box.stop();
    await yard.stop();
  };
}

/** Pairs, makes an account and signs in with it: the cookies that every test's browser starts with. */
async function session(box: Box) {
  const paired = await box.call('POST', '/api/v1/pair', undefined, { otp: box.otp, device_name: 'tests' });
  const { name, password } = USER;
  const made = await box.call('POST', '/api/v1/users', paired.json.token, { name, password, role: 'admin' });
  const signedIn = await box.call('POST', '/api/v1/session', undefined, {
    username: name,
    password,
    device_name: 'browser',
  });
  if (made.status !== 201 || signedIn.cookies.length === 0)
    throw new Error(`${made.status}, ${signedIn.status}: not signed in`);
  const cookies = signedIn.cookies.map((cookie) => {
    const [key = '', value = ''] = cookie.split(/=(.*)/);
    const place = { domain: 'localhost', path: '/', expires: -1 };
    return { name: key, value, ...place, httpOnly: true, secure: true, sameSite: 'Strict' as const };
  });
  return { cookies, origins: [] };
}
