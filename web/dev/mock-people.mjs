// The mock box's people: accounts, devices, invitations, players, who is watching and who is cut off. `scenario.people` says how many.
import { admin, iso, pairingCode } from './fake-data.mjs';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const NAMES = ['anna', 'ben', 'grandma', 'Katharina.von-Hohenstein', 'cleaner', 'zoe'];
const DEVICES = ['iPhone', 'Chrome on Linux', 'Chrome on Linux', 'Kitchen tablet', 'Safari on Mac'];

let users = [];
let devices = [];
let players = [];
let cutOff = [];

const id = (n) => n.toString(16).padStart(32, '0');

function device(n, name, username, more = {}) {
  return {
    id: id(n),
    name,
    kind: username ? 'session' : 'paired',
    username,
    role: 'viewer',
    created_at: iso(Date.now() - n * DAY),
    last_seen_at: iso(Date.now() - n * 7 * MINUTE),
    current: false,
    live_sessions: 0,
    ...more,
  };
}

/** As a scenario wants it: nobody but a paired phone, one person, or many. */
export function reset({ people }) {
  const own = device(1, admin.device_name, people === 0 ? null : 'anna', {
    id: admin.device_id,
    role: 'admin',
    current: true,
    live_sessions: 1,
  });
  users = Array.from({ length: people }, (_, i) => ({
    name: NAMES[i] ?? `guest${i}`,
    role: i === 0 ? 'admin' : 'viewer',
    created_at: iso(Date.now() - (i + 1) * DAY),
    ...(i === 2 ? { cameras: ['front'], live_only: true } : {}),
    ...(i === 3 ? { cameras: ['front', 'garden'], expires_at: iso(Date.now() + 3 * DAY) } : {}),
    ...(i === 4 ? { expires_at: iso(Date.now() - DAY) } : {}),
  }));
  devices = [own];
  users.slice(1).forEach(({ name }, i) => {
    for (let n = 0; n < (i === 1 ? 3 : i % 3); n += 1)
      devices.push(device(10 * i + n + 2, DEVICES[(i + n) % DEVICES.length], name));
  });
  if (people !== 1)
    devices.push(device(9, 'iPhone', null, { live_sessions: 1, expires_at: iso(Date.now() + DAY) }));
  players = people > 1 ? [{ name: 'nvr', created_at: iso(Date.now() - DAY), cameras: ['front'] }] : [];
  cutOff =
    people > 1
      ? [
          {
            device_id: devices[1].id,
            device_name: devices[1].name,
            username: devices[1].username,
            by: 'anna',
            until: iso(Date.now() + 9 * MINUTE),
          },
        ]
      : [];
  for (const one of devices) {
    const entry = cutOff.find(({ device_id }) => device_id === one.id);
    if (entry) one.cut_off = { by: entry.by, until: entry.until };
  }
}

const live = (scenario) => {
  const watching = scenario.empty ? [] : devices.filter((one) => one.live_sessions > 0);
  return {
    sessions: watching.map((one, i) => ({
      lease: id(900 + i),
      camera: 'front',
      stream: 'sub',
      device_id: one.id,
      device_name: one.name,
      username: one.username,
      role: one.role,
      started_at: iso(Date.now() - 3 * MINUTE),
      connected: true,
      remote: '192.0.2.17:50412',
      bytes_sent: 14_200_000,
      ration: 'sub',
      why: 'connection',
      available_bps: 700_000,
      loss: 0.002,
      round_trip_ms: 42,
      sent_bps: 640_000,
      relayed: false,
    })),
    over_https: watching.slice(0, 1).map((one) => ({
      transport: 'hls',
      camera: 'front',
      stream: 'main',
      device_id: one.id,
      device_name: one.name,
      username: one.username,
      started_at: iso(Date.now() - 2 * MINUTE),
      remote: '192.0.2.17:50420',
    })),
    readers: players.map(({ name }) => ({
      stream_password: name,
      camera: 'front',
      stream: 'main',
      started_at: iso(Date.now() - 40 * MINUTE),
      remote: '192.0.2.9:41200',
    })),
    cut_off: cutOff,
  };
};

const find = (name) => users.find((user) => user.name === name);

export function routes({ json, Refusal, scenario, cameras }) {
  const none = { status: 204, body: '' };
  const given = ({ role, cameras, expires_at, live_only }) =>
    JSON.parse(JSON.stringify({ role, cameras, expires_at, live_only }));
  const until = () => iso(Date.now() + 10 * MINUTE);
  return [
    ['GET', /^\/devices$/, async () => json({ devices })],
    [
      'PATCH',
      /^\/devices\/(\w+)$/,
      async ({ match, body }) => {
        const one = devices.find((device) => device.id === match[1]);
        if (!one) throw new Refusal(404, 'there is no such device');
        one.name = body.name;
        return json(one);
      },
    ],
    [
      'DELETE',
      /^\/devices\/(\w+)$/,
      async ({ match }) => ((devices = devices.filter((one) => one.id !== match[1])), none),
    ],
    [
      'PUT',
      /^\/devices\/(\w+)\/cut-off$/,
      async ({ match }) => {
        const one = devices.find((device) => device.id === match[1]);
        one.cut_off = { by: 'anna', until: until() };
        cutOff.push({ device_id: one.id, device_name: one.name, username: one.username, ...one.cut_off });
        return json(one.cut_off);
      },
    ],
    [
      'DELETE',
      /^\/devices\/(\w+)\/cut-off$/,
      async ({ match }) => {
        cutOff = cutOff.filter((one) => one.device_id !== match[1]);
        delete devices.find((device) => device.id === match[1])?.cut_off;
        return none;
      },
    ],
    ['POST', /^\/pairing-codes$/, async () => json(pairingCode(), 201)],
    ['GET', /^\/users$/, async () => json({ users })],
    [
      'POST',
      /^\/users$/,
      async ({ body }) => {
        if (find(body.name)) throw new Refusal(409, `there is already an account ${body.name}`);
        users.push({ name: body.name, created_at: iso(Date.now()), ...given(body) });
        return json(users.at(-1), 201);
      },
    ],
    [
      'PATCH',
      /^\/users\/([\w.-]+)$/,
      async ({ match, body }) => {
        const user = find(match[1]);
        for (const [key, value] of Object.entries(body)) {
          if (value === null || value === false) delete user[key];
          else user[key] = value;
        }
        return json(user);
      },
    ],
    [
      'DELETE',
      /^\/users\/([\w.-]+)$/,
      async ({ match }) => {
        users = users.filter((user) => user.name !== match[1]);
        devices = devices.filter((one) => one.username !== match[1]);
        return none;
      },
    ],
    ['PUT', /^\/users\/[\w.-]+\/password$/, async () => none],
    ['GET', /^\/stream-passwords$/, async () => json({ stream_passwords: players })],
    [
      'POST',
      /^\/stream-passwords$/,
      async ({ body }) => {
        players.push({ name: body.name, created_at: iso(Date.now()), ...given(body) });
        const password = '3f9a07c2d1e84b65a9c0417be2d85f16';
        const at = (scheme, port, path) => `${scheme}://${body.name}:${password}@perch.local:${port}/${path}`;
        const urls = cameras
          .filter(({ id }) => !body.cameras || body.cameras.includes(id))
          .map(({ id }) => ({
            camera: id,
            main: at('rtsp', 8554, id),
            sub: at('rtsp', 8554, `${id}/sub`),
            main_tls: at('rtsps', 8322, id),
            sub_tls: at('rtsps', 8322, `${id}/sub`),
          }));
        return json({ name: body.name, password, urls }, 201);
      },
    ],
    [
      'PUT',
      /^\/stream-passwords\/([\w.-]+)\/cut-off$/,
      async ({ match }) => {
        cutOff.push({ stream_password: match[1], by: 'anna', until: until() });
        return json(cutOff.at(-1));
      },
    ],
    [
      'DELETE',
      /^\/stream-passwords\/([\w.-]+)\/cut-off$/,
      async ({ match }) => ((cutOff = cutOff.filter((one) => one.stream_password !== match[1])), none),
    ],
    [
      'DELETE',
      /^\/stream-passwords\/([\w.-]+)$/,
      async ({ match }) => ((players = players.filter((one) => one.name !== match[1])), none),
    ],
    ['GET', /^\/live$/, async () => json(live(scenario))],
    ['DELETE', /^\/live\/\w+$/, async () => none],
  ];
}
