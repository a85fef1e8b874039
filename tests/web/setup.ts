// Starts the boxes that all tests share: the one under test with three cameras, and a second one that plays a network camera.
import { footage, startBox } from './box'

export default async function setup() {
  const yard = await startBox(`
[[camera]]
id = "yard"
source = "test"
width = 640
height = 360
fps = 15
bitrate_kbps = 500
audio = { source = "test" }
record = { mode = "off" }
motion = { enabled = false }`)
  const paired = await yard.call('POST', '/api/v1/pair', undefined, { otp: yard.otp, device_name: 'other box' })
  const stream = await yard.call('POST', '/api/v1/stream-passwords', paired.json.token, { name: 'other' })
  const clip = footage('intel_person.mp4')
  if (!clip) console.warn('SKIPPED: no footage; the door camera shows the test pattern')
  const box = await startBox(`
[[camera]]
id = "test"
name = "Test"
source = "test"
width = 640
height = 360
fps = 15
bitrate_kbps = 600
audio = { source = "test" }
record = { mode = "continuous", segment_max_s = 20 }
motion = { enabled = false }

[[camera]]
id = "door"
name = "Front door"
source = "${clip ? `file:${clip}` : 'test'}"
width = 768
height = 432
fps = 10
bitrate_kbps = 800
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
fps = 15
bitrate_kbps = 300
sub = { width = 320, height = 180, fps = 15, bitrate_kbps = 200 }
audio = { source = "test" }
motion = { enabled = false }`)
  process.env.PERCH_TEST_URL = box.url
  process.env.PERCH_TEST_OTP = box.otp
  return async () => {
    await box.stop()
    await yard.stop()
  }
}
