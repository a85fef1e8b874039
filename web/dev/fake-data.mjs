// Made-up JSON of the HTTP contract for the mock box.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
export const iso = (ms) => new Date(ms).toISOString().replace('Z', '000Z');

const startedMs = Date.now() - 3 * DAY;

/** What the mock box is like until a scenario says otherwise. */
export const normal = {
  claimed: true,
  signed_in: true,
  empty: false,
  failing: false,
  update: 'idle',
  moving: false,
  overloaded: false,
  settings: '',
  finding: '',
  people: 6,
  off: false,
  talk: false,
  sent: false,
};

export const admin = {
  device_id: 'a'.repeat(32),
  device_name: 'Firefox on Linux',
  username: 'anna',
  role: 'admin',
};

/** States in which pictures come. */
const delivers = (state) => state === 'live' || state === 'overloaded';

const troubleOf = (state) =>
  state === 'missing'
    ? { cause: 'absent', what: 'is not plugged in', remedy: 'Plug it in again, at the same port.' }
    : null;

function camera(id, name, state, reason, more = {}) {
  return {
    id,
    name,
    room: { front: 'Outside', garden: 'Outside', hall: 'Ground floor' }[id] ?? '',
    source: 'test',
    width: 1280,
    height: 720,
    display_width: 1280,
    orientation: { mirrored: false, quarters: 0 },
    fps: 15,
    codec: 'h264',
    has_audio: id === 'front',
    record_mode: 'continuous',
    motion_enabled: true,
    health: {
      state,
      reason,
      trouble: troubleOf(state),
      since: iso(Date.now() - 95 * MINUTE),
      restarts: delivers(state) ? 0 : 3,
      sound_problem: '',
      motion_problem: '',
      small_problem: '',
      rate_problem: '',
      notes: [],
      off: null,
    },
    capture: {
      encoder: 'x264enc',
      encoders: 2,
      passed_through: id === 'front',
      fps: state === 'overloaded' ? 6.53 : delivers(state) ? 14.97 : 0,
      bitrate_kbps: delivers(state) ? 1850.4 : 0,
      sub_active: true,
      dropped: 0,
    },
    recording: { state: delivers(state) ? 'recording' : 'waiting', reason: '' },
    last_event_at: iso(Date.now() - 4 * MINUTE),
    ...more,
  };
}

export const cameras = [
  camera('front', 'Front door', 'live', ''),
  camera('garden', 'Garden', 'live', '', { last_event_at: iso(Date.now() - 5 * HOUR), has_audio: false }),
  camera('garage', 'Garage', 'missing', 'no device at /dev/video2'),
  camera('hall', 'Hall', 'starting', 'starting', {
    last_event_at: null,
    health: {
      state: 'starting',
      reason: 'starting',
      trouble: null,
      since: iso(Date.now()),
      restarts: 0,
      sound_problem: '',
      motion_problem: '',
      small_problem: '',
      rate_problem: '',
      notes: [],
      off: null,
    },
  }),
];

/** One that was just added: it gives pictures, or is not found. */
export const newCamera = ({ id, name }, isWrong) =>
  isWrong
    ? camera(
        id,
        name,
        'missing',
        'nothing answers at 192.168.1.20:554: is the camera on, and is this its address?',
        {
          last_event_at: null,
        },
      )
    : camera(id, name, 'live', '', { last_event_at: null });

const SLOW = "6.5 of 25 frames a second are encoded: lower the camera's size or frame rate";

/** The cameras of a scenario; `overloaded` is a box that cannot keep up with one of them. */
/** How the front door can be talked through, where the scenario says so. */
const TALK = {
  talk: { sink: 'test', echo: 'cancel', max_s: 120, speaker: null, level: null, heard_at: null, problem: '' },
};
/** Clips that are sent to servers. */
export function sentRanges(camera) {
  const from = Date.now() - 3_600_000;
  const one = (id, state, sentence, sentMs, server) => ({
    id,
    camera,
    from: iso(from),
    to: iso(from + 407_000),
    server,
    by: 'grandma',
    state,
    sentence,
    sent_ms: sentMs,
    recorded_ms: 407_000,
    gaps: 1,
    gaps_ms: 12_000,
    began_at: iso(Date.now() - 60_000),
  });
  const gap = ' Where nothing is recorded, 12 s, is left out.';
  return [
    one(
      2,
      'sending',
      `2 min 43 s of 6 min 47 s are sent.${gap}`,
      163_000,
      'rtmps://live.streaming.example/…',
    ),
    one(
      1,
      'failed',
      `It broke off after 8 s of 6 min 47 s: relay.local cannot be reached: see whether it runs, and its port.${gap}`,
      8000,
      'rtmp://relay.local/…',
    ),
  ];
}

export const announcements = [
  {
    id: '1'.repeat(32),
    name: 'Please leave parcels at the door, thank you',
    duration_ms: 4200,
    added_at: iso(startedMs),
  },
  { id: '2'.repeat(32), name: 'Dinner', duration_ms: 1300, added_at: iso(startedMs + HOUR) },
];

export const camerasOf = ({ empty, overloaded, talk }) =>
  empty
    ? []
    : cameras
        .map((c) =>
          overloaded && c.id === 'garden' ? { ...camera(c.id, c.name, 'overloaded', SLOW), fps: 25 } : c,
        )
        .map((c) => (talk && c.id === 'front' ? { ...c, ...TALK } : c));

/** Chapters of two minutes of what has gone on for so many minutes; the last one runs. */
function chapters(cameraId, minutes) {
  const startMs = Math.floor(Date.now() / 1000) * 1000 - minutes * MINUTE - 20_000;
  return Array.from({ length: Math.floor(minutes / 2) + 1 }, (_, i) => {
    const at = startMs + i * 2 * MINUTE;
    const isLast = i === Math.floor(minutes / 2);
    return {
      ...events[0],
      id: at * 1000 + 7,
      camera: cameraId,
      start: iso(at),
      end: isLast ? null : iso(at + 2 * MINUTE),
      since: iso(startMs),
      chapter: i + 1,
      pinned: false,
      has_thumbnail: true,
    };
  });
}

/** The events of a scenario, newest first; `moving` adds what goes on: five minutes at the door, two hours in the garden. */
export function eventsOf({ empty, moving }) {
  if (empty) return [];
  if (!moving) return events;
  return [...events, ...chapters('front', 5), ...chapters('garden', 124)].sort((a, b) => b.id - a.id);
}

/** One event every 23 minutes, with a burst now and then; the same at each start. */
export const events = Array.from({ length: 160 }, (_, i) => {
  const startMs = Math.floor(Date.now() / MINUTE) * MINUTE - (4 + i * 23 - (i % 4) * 19) * MINUTE;
  const wobble = (i * 37) % 100;
  return {
    id: startMs * 1000 + i,
    camera: i % 3 === 2 ? 'garden' : 'front',
    kind: 'motion',
    start: iso(startMs),
    end: iso(startMs + (8 + (wobble % 30)) * 1000),
    since: iso(startMs),
    chapter: 1,
    score: 0.02 + wobble / 180,
    cause: 'motion',
    boxes: [{ x: 0.2 + wobble / 300, y: 0.3, w: 0.18, h: 0.4 }],
    pinned: i % 11 === 3,
    has_thumbnail: i % 13 !== 5,
  };
}).sort((a, b) => b.id - a.id);

const gapsOfDay = [
  { fromH: 3, toH: 4.5, cause: 'box_off' },
  { fromH: 9.2, toH: 9.6, cause: 'camera_unavailable' },
  { fromH: 16, toH: 16.1, cause: 'disk_full' },
];

/** Gaps at the same hours of each UTC day. */
function gapsIn(fromMs, toMs) {
  const out = [];
  for (let day = Math.floor(fromMs / DAY) * DAY; day < toMs; day += DAY) {
    for (const gap of gapsOfDay) {
      const start = Math.max(fromMs, startedMs, day + gap.fromH * HOUR);
      const end = Math.min(toMs, Date.now(), day + gap.toH * HOUR);
      if (start < end) out.push({ start, end, cause: gap.cause });
    }
  }
  return out;
}

export function timeline(cameraId, fromMs, toMs, known = events) {
  const end = Math.min(toMs, Date.now());
  const gaps = gapsIn(fromMs, end);
  const spans = [];
  let at = Math.max(fromMs, startedMs);
  for (const gap of [...gaps, { start: end, end }]) {
    if (gap.start > at)
      spans.push({
        start: iso(at),
        end: iso(gap.start),
        held: at < Date.now() - 20 * HOUR ? 'copy' : 'here',
      });
    at = Math.max(at, gap.end);
  }
  return {
    from: iso(fromMs),
    to: iso(toMs),
    spans,
    gaps: gaps.map((gap) => ({ ...gap, start: iso(gap.start), end: iso(gap.end) })),
    events: known
      .filter(
        (e) =>
          e.camera === cameraId &&
          Date.parse(e.end ?? iso(Date.now())) > fromMs &&
          Date.parse(e.start) < toMs,
      )
      .reverse(),
  };
}

/** What the sentence is about. */
function aboutOf(list) {
  if (list.length === 0) return { part: 'no_camera' };
  const first = ['overloaded', 'missing']
    .map((state) => list.find((c) => c.health.state === state))
    .find(Boolean);
  return first ? { part: 'camera', camera: first.id } : null;
}

export const status = (list) => ({
  name: 'Perch at home',
  state: list.some((c) => c.health.state !== 'live' && c.health.state !== 'starting') ? 'degraded' : 'ok',
  sentence: list.some((c) => c.health.state === 'overloaded')
    ? `Garden has fewer pictures than it should: ${SLOW}. Garage has no picture: no device at /dev/video2.`
    : list.some((c) => c.health.state === 'missing')
      ? 'Garage is not plugged in. Plug it in again, at the same port.'
      : 'Everything works.',
  about: aboutOf(list),
  version: '0.1.0',
  commit: '4f2a91c07be3',
  uptime_s: 273_000,
  clock: { now: iso(Date.now()), synchronised: true },
  cameras: list,
  tasks: [
    { name: 'capture front', running: true, reason: '', since: iso(startedMs), restarts: 0 },
    {
      name: 'capture garage',
      running: false,
      reason: 'no device at /dev/video2',
      since: iso(Date.now() - 8000),
      restarts: 212,
    },
    { name: 'retention', running: true, reason: '', since: iso(startedMs), restarts: 0 },
    { name: 'index', running: false, reason: '', since: iso(startedMs + 4000), restarts: 0 },
  ],
  disk: {
    total_bytes: 128e9,
    free_bytes: 41e9,
    recordings_bytes: 74e9,
    days_at_this_rate: 9.4,
    problem: '',
    taking_in: null,
    media: [
      {
        kind: 'sd_card',
        name: 'SC32G, 08/2023',
        wear: 'unknown',
        says: 'The card does not tell how worn it is; few SD cards do. Replace it every two or three years, and at once where recordings have gaps that the disk made',
      },
    ],
  },
  copies: { stores: 2, state: 'copying', alarm: '' },
  webrtc_sessions: 1,
  rtsp_readers: 1,
  memory_bytes: 61e6,
});

/** The states of the update card, by the name of a scenario. */
export const updateState = (kind) => {
  const bundle = { version: '0.2.0', description: 'Faster start, clearer night pictures.' };
  const last = { version: '0.2.0', from: '0.1.0', at: iso(Date.now() - 25 * MINUTE) };
  const state = {
    version: '0.1.0',
    commit: '4f2a91c07be3',
    supported: true,
    reason: '',
    phase: 'idle',
    percent: 0,
    slot: 'a',
    board: 'perch-rpi-arm64',
  };
  const { slot, board, ...bare } = state;
  const states = {
    unsupported: {
      ...bare,
      supported: false,
      reason: 'updates are installed on the card image only: here perch is updated as it was installed',
    },
    updated: { ...state, slot: 'b', version: '0.2.0', last: { ...last, outcome: 'updated', reason: '' } },
    rolled_back: {
      ...state,
      last: { ...last, outcome: 'rolled_back', reason: 'Front door gives no picture: no such device' },
    },
    refused: {
      ...state,
      problem: 'version 0.0.9 is older than 0.1.0, which runs here: going back is refused',
    },
    ready: { ...state, phase: 'ready', bundle },
    installing: { ...state, phase: 'installing', percent: 42, bundle },
    restarting: { ...state, phase: 'restarting', percent: 100, bundle },
    trial: {
      ...state,
      slot: 'b',
      version: '0.2.0',
      phase: 'trial',
      problem: 'no recording was sealed and read back: no camera gives a picture',
    },
  };
  return states[kind] ?? state;
};

export const pairingCode = () => ({
  otp: '48150923',
  made_at: iso(Date.now()),
  expires_at: iso(Date.now() + 5 * MINUTE),
  url: 'https://perch.local:8443/pair#pair=48150923',
  qr_svg:
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 21 21"><rect width="21" height="21" fill="#fff"/><path d="M1 1h7v7H1zM13 1h7v7h-7zM1 13h7v7H1zM10 10h2v2h-2zM14 14h3v3h-3z"/></svg>',
});
