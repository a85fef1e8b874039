// Browser tests of the whole box: one real daemon, Debian's Chromium, desktop and phone width.
import { defineConfig } from '@playwright/test';
import { CHROMIUM } from './chromium.mjs';

export default defineConfig({
  testDir: '.',
  testIgnore: 'lighthouse/**',
  // Generous limits: the machine may be doing other things. What is exact in time is measured by `make bench`.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  // One box is shared, and no test depends on another: what changes a box has one of its own.
  workers: 2,
  fullyParallel: true,
  globalSetup: './setup.ts',
  reporter: [['list']],
  outputDir: 'test-results',
  use: {
    actionTimeout: 30_000,
    ignoreHTTPSErrors: true,
    launchOptions: CHROMIUM,
    viewport: { width: 1440, height: 900 },
  },
});
