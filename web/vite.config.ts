// Build settings: nothing inline (the box's CSP forbids it), and the dev server's way to a box.
import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { served } from './dev/served.mjs';

const box = process.env.PERCH_BOX ?? 'http://localhost:8080';

interface Schema {
  $ref?: string;
  minLength?: number;
  maxLength?: number;
  properties?: Record<string, Schema>;
}

const { components, info } = JSON.parse(
  readFileSync(new URL('../src/api/openapi.json', import.meta.url), 'utf8'),
) as { components: { schemas: Record<string, Schema> }; info: Record<string, unknown> };

/** A limit that the box's OpenAPI document sets for the length of a field. */
function lengthLimit(limit: 'minLength' | 'maxLength', schema: string, field: string): number {
  let found = components.schemas[schema]?.properties?.[field];
  if (found?.$ref) found = components.schemas[found.$ref.split('/').at(-1)!];
  const value = found?.[limit];
  if (value === undefined) throw new Error(`openapi.json sets no ${limit} of ${schema}.${field}`);
  return value;
}

/** A length of time that the document sets for the whole box, seconds. */
function seconds(name: string): number {
  const value = info[name];
  if (typeof value !== 'number') throw new Error(`openapi.json does not say ${name}`);
  return value;
}

export default defineConfig({
  plugins: [svelte(), { name: 'served', apply: 'serve', transformIndexHtml: (html) => served(html) }],
  define: {
    __PASSWORD_MIN__: lengthLimit('minLength', 'NewUser', 'password'),
    __NAME_MAX__: lengthLimit('maxLength', 'NewStreamPassword', 'name'),
    __ACCOUNT_NAME_MAX__: lengthLimit('maxLength', 'NewUser', 'name'),
    __DEVICE_NAME_MAX__: lengthLimit('maxLength', 'Device', 'name'),
    __LEASE_S__: seconds('x-lease-s'),
    __CUT_OFF_S__: seconds('x-cut-off-s'),
    __LONGEST_RANGE_S__: seconds('x-longest-range-s'),
  },
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
