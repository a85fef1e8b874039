// How the tests start Debian's Chromium.
export const CHROMIUM = {
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // The box's certificate is its own; a service worker is fetched without the page's exception for it.
    '--ignore-certificate-errors',
    // The box under test listens on loopback only; WebRTC leaves that interface out unless told.
    '--allow-loopback-in-peer-connection',
    '--autoplay-policy=no-user-gesture-required',
  ],
}
