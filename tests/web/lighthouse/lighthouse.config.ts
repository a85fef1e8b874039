// Lighthouse over every page, apart from the tests: it takes minutes and wants the machine for itself (`make lighthouse`).
import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: '.',
  timeout: 30 * 60_000,
  workers: 1,
  reporter: [['list']],
  outputDir: '../test-results',
});
