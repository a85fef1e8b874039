// Joins a camera over WHEP in headless Chromium, without the page: what the measurements share. The functions run in the browser.
import { chromium } from '@playwright/test';
import { CHROMIUM } from './chromium.mjs';

/** Opens a tab on the box that PERCH_TEST_URL names, and closes everything after `use`. */
export async function withTab(/** @type {(tab: import('@playwright/test').Page) => Promise<void>} */ use) {
  const browser = await chromium.launch(CHROMIUM);
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const tab = await context.newPage();
  await tab.goto(`${process.env.PERCH_TEST_URL}/login`);
  await use(tab);
  await browser.close();
}

/** Plays a stream of a camera; gives the milliseconds from the POST to the first decoded frame. */
export async function join(/** @type {string[]} */ [token, camera = 'cam', stream = 'main']) {
  const peer = new RTCPeerConnection();
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  const video = document.createElement('video');
  video.muted = true;
  video.playsInline = true;
  peer.ontrack = (event) => {
    if (event.track.kind === 'video') {
      video.srcObject = new MediaStream([event.track]);
      void video.play();
    }
  };
  const first = new Promise((resolve, reject) => {
    video.requestVideoFrameCallback((now) => resolve(now));
    setTimeout(() => reject(new Error('no picture within 15 s')), 15_000);
  });
  await peer.setLocalDescription();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' };
  const body = peer.localDescription?.sdp ?? '';
  const startMs = performance.now();
  const answer = await fetch(`/api/v1/cameras/${camera}/whep?stream=${stream}`, {
    method: 'POST',
    headers,
    body,
  });
  if (answer.status !== 201) throw new Error(`WHEP answered ${answer.status}`);
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  await first;
  const tookMs = performance.now() - startMs;
  Object.assign(window, { joined: { peer, video, lease: answer.headers.get('location') } });
  return tookMs;
}

/** What was received so far. */
export async function received() {
  /** @type {{ peer: RTCPeerConnection }} */
  const { peer } = Reflect.get(window, 'joined');
  const sum = { frames: 0, freezes: 0, frozen_s: 0, audio_packets: 0 };
  for (const report of (await peer.getStats()).values()) {
    if (report.type !== 'inbound-rtp') continue;
    sum.frames += report.framesDecoded ?? 0;
    sum.freezes += report.freezeCount ?? 0;
    sum.frozen_s += report.totalFreezesDuration ?? 0;
    if (report.kind === 'audio') sum.audio_packets += report.packetsReceived ?? 0;
  }
  return sum;
}

/** Ends what `join` started. */
export async function leave(/** @type {string} */ token) {
  /** @type {{ peer: RTCPeerConnection, lease: string }} */
  const { peer, lease } = Reflect.get(window, 'joined');
  await fetch(lease, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
  peer.close();
}
