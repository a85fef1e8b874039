// The local Chromium that the scripts of this folder drive.
import { chromium } from 'playwright-core';
import { ARGS, EXECUTABLE } from './chromium.mjs';

// The mock camera and the page find each other on one machine.
const MOCK_ARGS = ['--disable-features=WebRtcHideLocalIpsWithMdns'];

export const launch = () => chromium.launch({ executablePath: EXECUTABLE, args: [...ARGS, ...MOCK_ARGS] });
