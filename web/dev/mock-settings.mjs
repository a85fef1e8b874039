// The mock box's settings: read, changed by merge patches, kept in versions and taken back, and cameras that come and go.
import { readFileSync } from 'node:fs';
import { camerasOf, iso, newCamera } from './fake-data.mjs';
import { settings as ofModes } from './mock-modes.mjs';

const schema = JSON.parse(readFileSync(new URL('./settings-schema.json', import.meta.url), 'utf8'));
const covered = [
  [0.02, 0.05],
  [0.3, 0.05],
  [0.3, 0.45],
  [0.02, 0.45],
];
const zone = [
  [0.1, 0.35],
  [0.55, 0.3],
  [0.6, 0.9],
  [0.08, 0.95],
];
const mask = [
  [0.7, 0.05],
  [0.95, 0.05],
  [0.95, 0.4],
];

/** A tree with every default filled in, of the keys that begin so. */
function defaults(prefix, isOurs) {
  const tree = {};
  for (const { key, default: value } of schema.settings.filter((setting) => isOurs(setting.key))) {
    const steps = key.slice(prefix.length).split('.');
    const last = steps.pop();
    steps.reduce((at, step) => (at[step] ??= {}), tree)[last] = value;
  }
  return tree;
}

const camera = (more) =>
  merged(
    defaults('camera[].', (key) => key.startsWith('camera[].')),
    more,
  );
const box = () => ({
  ...defaults('', (key) => !key.includes('[]') && !key.includes('{}')),
  camera: camerasOf({}).map(({ id, name }) =>
    camera(
      id === 'front'
        ? {
            id,
            name,
            source: 'rtsp://192.168.1.20/…',
            encode: true,
            privacy: [covered],
            motion: { zones: [zone], masks: [mask] },
            audio: { source: 'source' },
            talkback: { sink: 'test', on_event: { play: 'Dinner', quiet_s: 60 } },
          }
        : { id, name, source: id === 'garden' ? 'rtsp://192.168.1.21/…' : 'test' },
    ),
  ),
});

let values;
let cameras;
let versions;
let count;

/** As it was when the mock began. */
/** What a camera itself has: of every kind one. */
const control = (group, name, label, more) => ({
  name,
  label,
  group,
  default: null,
  is_active: true,
  ...more,
});
export const controls = {
  controls: [
    control('infrared', 'infrared_cut', 'Infrared filter', {
      kind: 'menu',
      choices: [
        { value: 'ON', label: 'Day: true colours' },
        { value: 'OFF', label: 'Night: no colours' },
        { value: 'AUTO', label: 'By itself' },
      ],
      value: 'AUTO',
    }),
    control('exposure', 'exposure_auto', 'Automatic exposure', {
      kind: 'switch',
      default: true,
      value: true,
    }),
    control('exposure', 'exposure_us', 'Exposure time', {
      kind: 'range',
      min: 100,
      max: 200000,
      step: 100,
      unit: 'us',
      default: 25000,
      value: 16600,
      is_active: false,
    }),
    control('colour', 'brightness', 'Brightness', {
      kind: 'range',
      min: -64,
      max: 64,
      step: 1,
      unit: '',
      default: 0,
      value: 12,
    }),
  ],
  problem: null,
};

export function reset(scenario) {
  values = { ...box(), ...(scenario.empty && { camera: [] }), ...(scenario.off && ofModes) };
  cameras = [];
  count = 3;
  const day = 864e5;
  versions = [
    { number: 3, at: iso(Date.now() - 7 * 6e4), by: 'anna', text: '' },
    { number: 2, at: iso(Date.now() - 2 * day), by: 'ben', text: '' },
    { number: 1, at: iso(Date.now() - 2 * day), by: 'the file, edited by hand', text: '' },
  ];
}

function merged(tree, patch) {
  const out = { ...tree };
  for (const [key, value] of Object.entries(patch)) {
    const isTable = value !== null && typeof value === 'object' && !Array.isArray(value);
    out[key] = isTable ? merged(out[key] ?? {}, value) : value;
  }
  return out;
}

/** Cameras that were added here. */
export const added = () => cameras;

const DIFF = ` [recording]
-max_days = 30
+max_days = 14
@@ -12,3 +12,4 @@
 id = "front"
 name = "Front door"
+motion = { sensitivity = 0.7 }
`;
const tag = () => `"v${count}"`;

/** The routes, as the mock's table has them. `json` and `Refusal` are the mock's. */
export function routes({ json, Refusal, scenario }) {
  const tagged = (body, status) => ({ ...json(body, status), headers: { ETag: tag() } });
  const refuse = (line) => {
    throw new Refusal(400, `the config is refused:\n  ${line}`);
  };
  const answer = (change, effects, { url, status = 200, waits = [] }) => {
    if (scenario.settings === 'odd')
      refuse('recording.max_days = 40000: must be a whole number of 0 to 36500');
    if (url.searchParams.get('dry_run') !== 'true') {
      change();
      count += 1;
      versions.unshift({ number: count, at: iso(Date.now()), by: 'anna', text: '' });
    }
    return tagged({ diff: DIFF, effects, not_followed: [], waits_for_start: waits, warnings: [] }, status);
  };
  const change = (id, patch) => {
    values.camera = values.camera.map((c) => (c.id === id ? merged(c, patch) : c));
    if (patch.name) cameras = cameras.map((c) => (c.id === id ? { ...c, name: patch.name } : c));
  };
  return [
    [
      'GET',
      /^\/recordings$/,
      async () =>
        json({
          cameras: values.camera.map(({ id }) => ({
            camera: id,
            files: 120,
            bytes: 3.2e9,
            events: 214,
            pinned: 2,
            from: iso(Date.now() - 9 * 864e5),
            to: iso(Date.now()),
            deleting: false,
          })),
        }),
    ],
    ['GET', /^\/settings$/, async () => tagged(values)],
    [
      'GET',
      /^\/settings\/schema$/,
      async () => {
        const settings = schema.settings.map((s) =>
          s.key === 'box.name' && scenario.settings === 'set' ? { ...s, set_by: 'PERCH_BOX_NAME' } : s,
        );
        const locked = 'the box may not write the folder of its config file: change it by hand';
        return json({ settings, locked: scenario.settings === 'locked' ? locked : null });
      },
    ],
    [
      'PATCH',
      /^\/settings$/,
      async ({ url, body, request }) => {
        if (scenario.settings === 'overtaken' && request.headers['if-match'] === '"v3"') {
          if (count === 3) {
            count = 4;
            values = merged(values, { recording: { max_days: 60 } });
          }
          throw new Refusal(412, 'the settings were changed since you read them');
        }
        const waits = body.http?.listen ? ['http.listen'] : [];
        return answer(() => (values = merged(values, body)), [], { url, waits });
      },
    ],
    [
      'POST',
      /^\/cameras$/,
      async ({ url, body }) => {
        const inherited = `recordings of an earlier camera with the id ${body.id} are on the disk and will be listed under it`;
        if (!body.source) refuse('camera[0].source: is missing and required');
        return answer(
          () => {
            const { password: _, ...rest } = body;
            values.camera = [...values.camera, camera(rest)];
            cameras = [...cameras, newCamera(body, scenario.settings === 'wrong')];
          },
          [`${body.id} is added`, ...(scenario.settings === 'reused' ? [inherited] : [])],
          { url, status: 201 },
        );
      },
    ],
    [
      'PATCH',
      /^\/cameras\/([\w-]+)$/,
      async ({ url, body, match }) =>
        answer(() => change(match[1], body), [`${match[1]}: motion is learnt anew`], { url }),
    ],
    [
      'DELETE',
      /^\/cameras\/([\w-]+)$/,
      async ({ url, match }) =>
        answer(
          () => {
            values.camera = values.camera.filter((c) => c.id !== match[1]);
            cameras = cameras.filter((c) => c.id !== match[1]);
          },
          [`${match[1]} is removed`],
          { url },
        ),
    ],
    ['GET', /^\/settings\/versions$/, async () => json({ versions: versions.map(({ text: _, ...v }) => v) })],
    [
      'GET',
      /^\/settings\/versions\/(\d+)$/,
      async ({ match }) => {
        const found = versions.find((version) => version.number === Number(match[1]));
        if (!found) throw new Refusal(404, 'this version of the settings is not kept');
        return json({ ...found, diff: `@@ -1,3 +1,3 @@\n${DIFF}` });
      },
    ],
    ['POST', /^\/settings\/versions\/\d+\/restore$/, async ({ url }) => answer(() => {}, [], { url })],
  ];
}
