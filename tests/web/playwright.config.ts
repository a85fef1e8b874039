// Browser tests of the whole box: one real daemon, Debian's Chromium, desktop and phone width.
import { defineConfig } from '@playwright/test'
import { CHROMIUM } from './chromium.mjs'

export default defineConfig({
  testDir: '.',
  timeout: 90_000,
  expect: { timeout: 15_000 },
  // One box is shared: tests run one after the other, in the order of their names.
  workers: 1,
  fullyParallel: false,
  globalSetup: './setup.ts',
  reporter: [['list']],
  outputDir: 'test-results',
  use: {
    actionTimeout: 15_000,
    ignoreHTTPSErrors: true,
    launchOptions: CHROMIUM,
    viewport: { width: 1440, height: 900 },
  },
})
