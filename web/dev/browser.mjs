// The local Chromium that the scripts of this folder drive; CHROMIUM names another one.
import { chromium } from 'playwright-core';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Lets the mock camera and the page find each other on one machine.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
