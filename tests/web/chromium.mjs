// How the tests start Debian's Chromium.
import { ARGS, EXECUTABLE } from '../../web/dev/chromium.mjs';

export const CHROMIUM = {
  executablePath: EXECUTABLE,
  args: [
    ...ARGS,
    // The box's certificate is its own; a service worker is fetched without the page's exception for it.
    '--ignore-certificate-errors',
    // The box under test listens on loopback only; WebRTC leaves that interface out by default.
    '--allow-loopback-in-peer-connection',
    '--autoplay-policy=no-user-gesture-required',
  ],
};
