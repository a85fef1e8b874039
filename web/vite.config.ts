// Build settings: nothing inline (the box's CSP forbids it), and the dev server's way to a box.
import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const box = process.env.PERCH_BOX ?? 'http://localhost:8080';

interface Schema {
  $ref?: string;
  minLength?: number;
  properties?: Record<string, Schema>;
}

const { components } = JSON.parse(
  readFileSync(new URL('../src/api/openapi.json', import.meta.url), 'utf8'),
) as { components: { schemas: Record<string, Schema> } };

/** The least length that the box's OpenAPI document asks of a field. */
function minLength(schema: string, field: string): number {
  let found = components.schemas[schema]?.properties?.[field];
  if (found?.$ref) found = components.schemas[found.$ref.split('/').at(-1)!];
  if (found?.minLength === undefined)
    throw new Error(`openapi.json sets no least length of ${schema}.${field}`);
  return found.minLength;
}

export default defineConfig({
  plugins: [svelte()],
  define: { __PASSWORD_MIN__: minLength('NewUser', 'password') },
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
