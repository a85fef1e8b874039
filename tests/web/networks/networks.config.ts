// The page over bad networks, apart from the tests: it takes minutes, wants the machine for itself, and root (`make networks`).
import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: '.',
  timeout: 10 * 60_000,
  workers: 1,
  reporter: [['list']],
  outputDir: '../test-results/networks',
});
