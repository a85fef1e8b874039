// The mock box's stores of copies: one that works, one that a person must see to; trying one out.
const ago = (s) => new Date(Date.now() - s * 1000).toISOString();
const profile = {
  checks_sums: true,
  takes_sums: true,
  keeps_first: true,
  parts: true,
  can_look: true,
  can_list: true,
  can_read: true,
  can_delete: true,
  protection: { keeps_versions: false, locked_days: 0 },
};
const target = (endpoint, bucket, more) => ({
  name: `${endpoint.replace(/^https?:\/\//, '')}/${bucket}`,
  endpoint,
  bucket,
  prefix: '',
  what: 'events',
  state: 'up_to_date',
  reason: '',
  since: ago(3600),
  waiting: 0,
  waiting_bytes: 0,
  oldest_waiting: null,
  copied: 0,
  copied_bytes: 0,
  last_copied_at: null,
  lost: 0,
  lost_at: null,
  alarm: '',
  bytes_per_s: 0,
  month_bytes: 0,
  monthly_bytes: 0,
  profile,
  ...more,
});
const targets = () => [
  target('https://s3.eu-central-1.amazonaws.com', 'perch-at-home', {
    state: 'copying',
    waiting: 3,
    waiting_bytes: 12_400_000,
    oldest_waiting: ago(140),
    copied: 1284,
    copied_bytes: 6_120_000_000,
    last_copied_at: ago(20),
    bytes_per_s: 310_000,
    month_bytes: 2_900_000_000,
    monthly_bytes: 20_000_000_000,
  }),
  target('http://nas.home.arpa:3900', 'perch', {
    state: 'stopped',
    reason: 'the store does not take the access key: give the right key and secret',
    waiting: 212,
    waiting_bytes: 930_000_000,
    oldest_waiting: ago(90_000),
    lost: 2,
    lost_at: ago(8000),
    alarm:
      'nothing is copied to nas.home.arpa:3900/perch: the store does not take the access key: give the right key and secret',
  }),
];

const HOUR = 3_600_000;

/** One of each kind, again and again; the newest hour still waits. */
function hours(url) {
  const [from, to] = ['from', 'to'].map((key) => Date.parse(url.searchParams.get(key)));
  const out = [];
  for (let at = Math.floor(from / HOUR) * HOUR; at < Math.min(to, Date.now()); at += HOUR) {
    const isNew = at > Date.now() - 2 * HOUR;
    const n = Math.floor(at / HOUR) % 12;
    const state = isNew ? 'local' : n === 3 ? 'lost' : n === 7 ? 'copied' : 'verified';
    const counts = {
      lost: state === 'lost' ? 2 : 0,
      waiting: isNew ? 4 : 0,
      copied: state === 'copied' ? 9 : 0,
    };
    out.push({ start: new Date(at).toISOString(), state, unwanted: 0, verified: 51, ...counts });
  }
  return out;
}

/** The routes, as the mock's table has them. */
export function routes({ json, scenario }) {
  return [
    [
      'GET',
      /^\/sync$/,
      () => json({ targets: scenario.empty ? [] : targets(), evidence_key: '9f3a61c2'.repeat(8) }),
    ],
    ['GET', /^\/cameras\/[\w-]+\/copies$/, ({ url }) => json({ hours: hours(url), reason: '' })],
    [
      'POST',
      /^\/sync\/probe$/,
      () =>
        json({
          works: true,
          profile,
          lines: [
            {
              grade: 'warning',
              what: 'the key may delete: whoever steals the box could delete the copies, too',
              fix: 'take s3:DeleteObject from it, or switch object lock on',
            },
            { grade: 'good', what: 'what arrives is compared with what was sent', fix: '' },
          ],
        }),
    ],
  ];
}
