// Joins a camera over WHEP many times in headless Chromium and prints, as JSON, the time from POST to the first decoded frame.
import { chromium } from '@playwright/test'
import { CHROMIUM } from './chromium.mjs'

const { PERCH_TEST_URL: url, PERCH_TEST_TOKEN: token, PERCH_TEST_ROUNDS: rounds = '30' } = process.env
const browser = await chromium.launch(CHROMIUM)
const context = await browser.newContext({ ignoreHTTPSErrors: true })
const page = await context.newPage()
await page.goto(`${url}/login`)
const times = []
for (let i = 0; i < Number(rounds); i++) {
  const ms = await page.evaluate(join, token)
  times.push(ms)
  // Neither in step with the one-second GOP nor with the keyframe gate.
  await page.waitForTimeout(1100 + Math.random() * 900)
}
await browser.close()
times.sort((a, b) => a - b)
const at = (share) => Math.round(times[Math.min(times.length - 1, Math.ceil(share * times.length) - 1)])
console.log(JSON.stringify({ n: times.length, p50: at(0.5), p95: at(0.95), max: Math.round(times.at(-1)) }))

async function join(token) {
  const peer = new RTCPeerConnection()
  peer.addTransceiver('video', { direction: 'recvonly' })
  peer.addTransceiver('audio', { direction: 'recvonly' })
  const video = document.createElement('video')
  video.muted = true
  video.playsInline = true
  peer.ontrack = (event) => {
    if (event.track.kind === 'video') {
      video.srcObject = new MediaStream([event.track])
      void video.play()
    }
  }
  const first = new Promise((resolve) => video.requestVideoFrameCallback((now) => resolve(now)))
  await peer.setLocalDescription()
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' }
  const began = performance.now()
  const answer = await fetch('/api/v1/cameras/cam/whep?stream=main', { method: 'POST', headers, body: peer.localDescription.sdp })
  if (answer.status !== 201) throw new Error(`WHEP answered ${answer.status}`)
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  await first
  const took = performance.now() - began
  await fetch(answer.headers.get('location'), { method: 'DELETE', headers: { authorization: `Bearer ${token}` } })
  peer.close()
  return took
}
