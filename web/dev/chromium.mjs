// How Debian's Chromium is started for the page's own scripts and for the browser tests; CHROMIUM names another one. The headless
// shell is the same engine without what a desktop's windows need: the tests take half the CPU time.
export const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium-headless-shell';
export const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
