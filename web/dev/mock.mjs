// A mock box for work on the page: serves dist and the HTTP contract with made-up data. Never part of a build.
// Usage: node dev/mock.mjs [port]. POST /dev/scenario {claimed, signed_in, empty, failing, update, moving, overloaded, settings, people, off} changes what it says.
import { randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import {
  admin,
  cameras,
  announcements,
  sentRanges,
  camerasOf,
  eventsOf,
  iso,
  normal,
  status,
  timeline,
  updateState,
} from './fake-data.mjs';
import { served } from './served.mjs';
import { routes as copiesRoutes } from './mock-copies.mjs';
import { routes as findingRoutes } from './mock-finding.mjs';
import { modes, withOff } from './mock-modes.mjs';
import { added, controls, reset, routes as settingsRoutes } from './mock-settings.mjs';
import { reset as resetPeople, routes as peopleRoutes } from './mock-people.mjs';
import { playlist, prepareMedia } from './media.mjs';

const dist = new URL('../dist/', import.meta.url).pathname;
const media = prepareMedia();
const scenario = { ...normal };
const listeners = new Set();
const offers = [];
const answers = new Map();
let triesLeft = 5;

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = {
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
  '.html': 'text/html',
};

class Refusal extends Error {
  constructor(status, detail, more = {}) {
    super(detail);
    Object.assign(this, { status, body: { type: 'about:blank', title: detail, status, detail, ...more } });
  }
}

const json = (body, status = 200) => ({ status, type: 'application/json', body: JSON.stringify(body) });
const none = { status: 204, body: '' };
const list = () => withOff([...camerasOf(scenario), ...added()], scenario);
reset(scenario);
resetPeople(scenario);
const time = (url, name) => Date.parse(url.searchParams.get(name));

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function whep(cameraId, sdp) {
  if (list().find((c) => c.id === cameraId)?.capture.fps === 0)
    throw new Refusal(503, 'the camera has no picture');
  const lease = randomUUID().replaceAll('-', '');
  offers.push({ lease, sdp });
  for (let i = 0; i < 40 && !answers.has(lease); i += 1) await new Promise((done) => setTimeout(done, 50));
  const answer = answers.get(lease);
  if (!answer) throw new Refusal(503, 'no mock camera page is open');
  return {
    status: 201,
    type: 'application/sdp',
    body: answer,
    headers: { Location: `/api/v1/live/${lease}`, ETag: '"1"' },
  };
}

function page(url) {
  const cursor = Number(url.searchParams.get('cursor') ?? Infinity);
  const limit = Number(url.searchParams.get('limit') ?? 50);
  const cameraId = url.searchParams.get('camera');
  const [from, to] = [time(url, 'from'), time(url, 'to')];
  const all = eventsOf(scenario).filter(
    (e) =>
      e.id < cursor &&
      (!cameraId || e.camera === cameraId) &&
      !(Date.parse(e.start) < from) &&
      !(Date.parse(e.start) >= to),
  );
  return { events: all.slice(0, limit), next_cursor: all.length > limit ? all[limit - 1].id : null };
}

/** How whoever looks wants the cameras shown. */
let view = { order: [], favourites: [] };

const routes = [
  ...copiesRoutes({ json, scenario }),
  ...findingRoutes({ json, scenario, still: () => media.still(3) }),
  ...settingsRoutes({ json, Refusal, scenario }),
  ...peopleRoutes({ json, Refusal, scenario, cameras }),
  [
    'POST',
    /^\/pair$/,
    async ({ body }) => {
      if (triesLeft === 0) throw new Refusal(410, 'that code is void');
      if (body.otp !== '12345678') throw new Refusal(403, 'that code is wrong', { tries_left: --triesLeft });
      Object.assign(scenario, { claimed: true, signed_in: true });
      return json({ device_id: admin.device_id, token: 'f'.repeat(64), role: 'admin' }, 201);
    },
  ],
  [
    'POST',
    /^\/session$/,
    async ({ body }) => {
      if (body.password !== 'correct horse') throw new Refusal(401, 'the name or the password is wrong');
      scenario.signed_in = true;
      return none;
    },
  ],
  ['DELETE', /^\/session$/, async () => ((scenario.signed_in = false), none)],
  [
    'GET',
    /^\/me$/,
    async () =>
      json({
        ...admin,
        username: scenario.people > 0 ? admin.username : null,
        permissions: [
          'watch',
          'look_back',
          'own',
          'read_status',
          'keep',
          'talk',
          'manage_people',
          'manage_box',
        ],
        has_accounts: scenario.people > 0,
        box_name: 'Perch at home',
        version: '0.1.0',
        ca_sha256: 'ab:cd:'.repeat(10) + 'ef',
        view,
      }),
  ],
  ['PUT', /^\/me\/view$/, async ({ body }) => ((view = body), none)],
  ['GET', /^\/modes$/, async () => json(modes(list(), scenario))],
  ['PUT', /^\/(privacy|profile)$/, async () => json(modes(list(), scenario))],
  ['GET', /^\/cameras$/, async () => json({ cameras: list() })],
  [
    'GET',
    /^\/cameras\/([\w-]+)\/snapshot\.jpg$/,
    async ({ url }) => ({
      type: 'image/jpeg',
      body: media.still(Math.floor((time(url, 'at') || Date.now()) / 6000)),
      headers: url.searchParams.has('at') ? { 'Perch-Picture-At': iso(time(url, 'at') - 1200) } : {},
    }),
  ],
  [
    'GET',
    /^\/cameras\/([\w-]+)\/sound-level$/,
    async () => {
      await new Promise((done) => setTimeout(done, 200));
      return json({ level: { peak_db: -9.4, rms_db: -22.1 } });
    },
  ],
  [
    'GET',
    /^\/cameras\/([\w-]+)\/talk$/,
    async () =>
      json({
        speaker: null,
        is_you: false,
        ends_in_s: null,
        waiting: 0,
        your_place: null,
        your_turn: false,
      }),
  ],
  [
    'GET',
    /^\/cameras\/([\w-]+)\/push-range$/,
    async ({ match }) => json({ pushes: scenario.sent ? sentRanges(match[1]) : [] }),
  ],
  ['GET', /^\/announcements$/, async () => json({ announcements: scenario.talk ? announcements : [] })],
  ['GET', /^\/cameras\/([\w-]+)\/controls$/, async () => json(controls)],
  ['POST', /^\/cameras\/([\w-]+)\/whep$/, async ({ match, text }) => whep(match[1], text)],
  ['PATCH', /^\/live\/\w+$/, async () => none],
  ['POST', /^\/live\/\w+\/keepalive$/, async () => none],
  ['GET', /^\/ice-servers$/, async () => json({ ice_servers: [] })],
  [
    'GET',
    /^\/doctor\/live$/,
    async () =>
      json({
        ways: [
          {
            way: 'house',
            server: null,
            works: true,
            says: 'viewers reach the box at 192.168.1.20, fd00::20, UDP port 8189',
            advice: null,
          },
          { way: 'ipv6', server: null, works: false, says: 'the box has no IPv6 address', advice: null },
          {
            way: 'turn_udp',
            server: 'turn:turn.example.org:3478?transport=udp',
            works: false,
            says: 'it refuses the box’s credentials',
            advice:
              'write the server’s own static-auth-secret into the file of secret_file, and set both clocks right',
          },
          {
            way: 'hls',
            server: null,
            works: true,
            says: 'whoever reaches the page, at port 8443, gets pictures this way where no other is open: those of Front door came',
            advice: null,
          },
        ],
        away: 'a phone away gets pictures over HTTPS alone, a little later, if it reaches the page',
        advice: 'set up a relay (image/coturn has what it needs): some networks let no direct way through',
      }),
  ],
  ['GET', /^\/events$/, async ({ url }) => json(page(url))],
  [
    'GET',
    /^\/events\/(\d+)\/thumbnail\.jpg$/,
    async ({ match }) => ({ type: 'image/jpeg', body: media.still(Math.floor(Number(match[1]) / 6e9)) }),
  ],
  ['PUT', /^\/events\/\d+\/pin$/, async () => none],
  ['DELETE', /^\/events\/\d+\/pin$/, async () => none],
  [
    'GET',
    /^\/cameras\/([\w-]+)\/timeline$/,
    async ({ match, url }) => {
      const found = timeline(match[1], time(url, 'from'), time(url, 'to'), eventsOf(scenario));
      return json(scenario.empty ? { ...found, spans: [], gaps: [], events: [] } : found);
    },
  ],
  [
    'GET',
    /^\/cameras\/([\w-]+)\/playback\.m3u8$/,
    async ({ match, url }) => {
      const [from, to] = [time(url, 'from'), Math.min(time(url, 'to'), Date.now())];
      const text = playlist(media, timeline(match[1], from - 6e4, to).spans, from, to);
      if (!text) throw new Refusal(404, 'nothing is recorded there');
      return { type: 'application/vnd.apple.mpegurl', body: text };
    },
  ],
  [
    'GET',
    /^\/cameras\/\w+\/segments\/\d+\.mp4$/,
    async ({ request }) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? 'bytes=0-99999999');
      const part = media.data.subarray(Number(from), Number(to) + 1);
      return {
        status: 206,
        type: 'video/mp4',
        body: part,
        headers: { 'Content-Range': `bytes ${from}-${to}/${media.data.length}` },
      };
    },
  ],
  [
    'GET',
    /^\/cameras\/\w+\/export\.mp4$/,
    async () => ({ type: 'video/mp4', body: media.data, headers: { 'Content-Disposition': 'attachment' } }),
  ],
  ['GET', /^\/status$/, async () => json(status(list()))],
  ['GET', /^\/update$/, async () => json(updateState(scenario.update))],
  [
    'POST',
    /^\/update$/,
    async () => {
      scenario.update = 'ready';
      return json(updateState('ready').bundle, 201);
    },
  ],
  [
    'POST',
    /^\/update\/install$/,
    async () => {
      scenario.update = 'installing';
      return json(updateState('installing'), 202);
    },
  ],
  [
    'GET',
    /^\/ca\.(pem|crt|mobileconfig)$/,
    async () => ({ type: 'application/x-pem-file', body: '-----BEGIN CERTIFICATE-----\n' }),
  ],
  [
    'GET',
    /^\/certificate$/,
    async () =>
      json({
        certificates: [
          {
            kind: 'own',
            names: ['localhost', 'perch', 'perch.local', '127.0.0.1'],
            not_before: iso(Date.now() - 864e5),
            not_after: iso(Date.now() + 864e5 * 80),
            sha256: 'ab01'.repeat(16),
            problem: '',
          },
        ],
        ca_sha256: 'cd23'.repeat(16),
        other_origins: [],
      }),
  ],
];
const PUBLIC = /^\/(pair|session|ca\.\w+)$/;

async function answerApi(request, url) {
  const path = url.pathname.replace('/api/v1', '');
  if (!scenario.signed_in && !PUBLIC.test(path)) throw new Refusal(401, 'sign in or pair this device first');
  if (scenario.failing && path !== '/me') throw new Refusal(503, 'the index of recordings cannot be read');
  for (const [method, pattern, handle] of routes) {
    const match = request.method === method && pattern.exec(path);
    if (!match) continue;
    const text = await bodyOf(request);
    const isJson = (request.headers['content-type'] ?? '').includes('json');
    return handle({ request, url, match, text, body: isJson ? JSON.parse(text) : {} });
  }
  throw new Refusal(404, 'there is no such page');
}

async function answerDev(request, url) {
  if (url.pathname === '/dev/scenario') {
    Object.assign(scenario, JSON.parse(await bodyOf(request)));
    reset(scenario);
    resetPeople(scenario);
    return json(scenario);
  }
  if (url.pathname === '/dev/notice') {
    const notice = JSON.parse(await bodyOf(request));
    for (const listener of listeners)
      listener.write(`event: ${notice.type}\ndata: ${JSON.stringify(notice)}\n\n`);
    return none;
  }
  if (url.pathname === '/dev/offers') return json(offers.splice(0));
  if (url.pathname.startsWith('/dev/answers/'))
    return (answers.set(url.pathname.split('/')[3], await bodyOf(request)), none);
  return { type: 'text/html', body: readFileSync(new URL('./camera.html', import.meta.url)) };
}

function file(url) {
  const path = join(dist, normalize(url.pathname));
  const isAsset = extname(path) && statSync(path, { throwIfNoEntry: false })?.isFile();
  if (extname(path) && !isAsset) throw new Refusal(404, 'there is no such page');
  if (isAsset)
    return {
      type: TYPES[extname(path)],
      body: readFileSync(path),
      headers: { 'Content-Security-Policy': CSP },
    };
  const html = served(readFileSync(join(dist, 'index.html'), 'utf8'), scenario.claimed);
  return { type: 'text/html', body: html, headers: { 'Content-Security-Policy': CSP } };
}

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/api/v1/events/stream' && scenario.signed_in) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': hello\n\n');
    listeners.add(response);
    response.on('close', () => listeners.delete(response));
    return;
  }
  try {
    const isApi = url.pathname.startsWith('/api/');
    const found = isApi
      ? await answerApi(request, url)
      : url.pathname.startsWith('/dev/')
        ? await answerDev(request, url)
        : file(url);
    response.writeHead(found.status ?? 200, {
      ...(found.type && { 'Content-Type': found.type }),
      ...found.headers,
    });
    response.end(found.body);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    response
      .writeHead(error.status, { 'Content-Type': 'application/problem+json' })
      .end(JSON.stringify(error.body));
  }
}).listen(Number(process.argv[2] ?? 8080), () =>
  console.log('mock box at http://localhost:' + (process.argv[2] ?? 8080)),
);
