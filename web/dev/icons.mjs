// Draws the PNG icons from icon.svg with a local Chromium. Run by hand after the SVG changes: node dev/icons.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { launch } from './browser.mjs';

const folder = new URL('../public/icons/', import.meta.url);
const svg = readFileSync(new URL('icon.svg', folder), 'utf8');
const targets = [
  { name: 'icon-192.png', size: 192, inset: 0 },
  { name: 'icon-512.png', size: 512, inset: 0 },
  // A launcher may cut a maskable icon down to a circle of four fifths of its width; iOS rounds the corners itself.
  { name: 'maskable-512.png', size: 512, inset: 0.1 },
  { name: 'apple-touch-icon.png', size: 180, inset: 0.04 },
];

const browser = await launch();
for (const { name, size, inset } of targets) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  const pad = Math.round(size * inset);
  const drawing = inset ? svg.replace('rx="15"', '') : svg;
  await page.setContent(
    `<body style="margin:0;background:${inset ? '#0a6c66' : 'transparent'}"><div style="padding:${pad}px;width:${size - 2 * pad}px">${drawing}</div>`,
  );
  writeFileSync(new URL(name, folder), await page.screenshot({ omitBackground: !inset }));
  await page.close();
}
await browser.close();
