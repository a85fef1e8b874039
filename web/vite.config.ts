// Build settings: nothing inline (the box's CSP forbids it), and the dev server's way to a box.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const box = process.env.PERCH_BOX ?? 'http://localhost:8080';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // hls.js is one large lazy chunk; everything else is far below this.
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      '/api': {
        target: box,
        secure: false,
        changeOrigin: true,
        // The box refuses unsafe requests that come from another origin; in development the proxy speaks for it.
        headers: { origin: box },
      },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
