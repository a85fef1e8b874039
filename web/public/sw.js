// Offline shell: keeps the page itself, never data, so that an installed Perch can say that the box cannot be reached.
const CACHE = 'perch-shell';

self.addEventListener('install', (event) => {
  event.waitUntil(precache().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(self.clients.claim());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return;
  if (request.mode === 'navigate' && !url.pathname.startsWith('/api/')) event.respondWith(page(request));
  else if (url.pathname.startsWith('/assets/')) event.respondWith(asset(request));
});

/** The page and all that it loads at once: after a single visit it can say that the box is not reached. */
async function precache() {
  const cache = await caches.open(CACHE);
  const response = await fetch('/', { cache: 'no-cache' });
  if (!response.ok) throw new Error(`the page: ${response.status}`);
  const text = await response.clone().text();
  const assets = [...text.matchAll(/"(\/assets\/[^"]+)"/g)].map((match) => match[1]);
  await Promise.all(assets.map((path) => asset(new Request(path))));
  await cache.put('/', response);
}

/** The network's page, else the one kept last. Every path is the same document. */
async function page(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put('/', response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match('/');
    if (kept) return kept;
    throw error;
  }
}

/** Assets carry a hash of their content in their name: the kept one is the right one. */
async function asset(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) {
    await cache.put(request, response.clone());
    await forgetOld(cache);
  }
  return response;
}

/** Keeps the newest assets; those of earlier versions go. */
async function forgetOld(cache) {
  const KEPT = 40;
  const keys = await cache.keys();
  await Promise.all(keys.slice(0, Math.max(0, keys.length - KEPT)).map((key) => cache.delete(key)));
}
