// The stores that people have, and how the address and region of each are made from what their owner knows. Pure.

export const STORES = ['aws', 'r2', 'b2', 'wasabi', 'minio', 'garage', 'other'] as const;
export type Store = (typeof STORES)[number];

/** What is asked for besides bucket and keys. */
export type Asked = 'region' | 'account' | 'endpoint';

interface Preset {
  asks: readonly Asked[];
  endpoint: (answers: Answers) => string;
  /** The region that requests are signed for. */
  region: (answers: Answers) => string;
}

export type Answers = Record<Asked, string>;
export const NO_ANSWERS: Answers = { region: '', account: '', endpoint: '' };

const byRegion = (host: (region: string) => string): Preset => ({
  asks: ['region'],
  endpoint: ({ region }) => `https://${host(region.trim())}`,
  region: ({ region }) => region.trim(),
});
const ownServer = (usual: string): Preset => ({
  asks: ['endpoint', 'region'],
  endpoint: ({ endpoint }) => endpoint.trim().replace(/\/+$/, ''),
  region: ({ region }) => region.trim() || usual,
});

export const PRESETS: Record<Store, Preset> = {
  aws: byRegion((region) => `s3.${region}.amazonaws.com`),
  r2: {
    asks: ['account'],
    endpoint: ({ account }) => `https://${account.trim()}.r2.cloudflarestorage.com`,
    region: () => 'auto',
  },
  b2: byRegion((region) => `s3.${region}.backblazeb2.com`),
  wasabi: byRegion((region) => `s3.${region}.wasabisys.com`),
  minio: ownServer('us-east-1'),
  garage: ownServer('garage'),
  other: ownServer('us-east-1'),
};

const OF_REGION = /^[a-z0-9][a-z0-9-]{0,62}$/;
const RULES: Record<Asked, RegExp> = {
  region: OF_REGION,
  // Cloudflare: 32 hex digits; a jurisdiction may follow.
  account: /^[0-9a-f]{32}(\.(eu|fedramp))?$/,
  endpoint: /^https?:\/\/[^\s/?#@]+\/?$/i,
};

/** Whether an answer fits; one's own server has a usual region. */
export function fits(store: Store, asked: Asked, answers: Answers): boolean {
  const text = answers[asked].trim();
  if (asked === 'region' && text === '') return PRESETS[store].asks.includes('endpoint');
  return RULES[asked].test(text);
}

/** Which store an endpoint is one of, for what is saved. */
export function storeOf(endpoint: string): Store {
  const host = endpoint.replace(/^https?:\/\//, '').split(':')[0] ?? '';
  if (/(^|\.)amazonaws\.com$/.test(host)) return 'aws';
  if (host.endsWith('.r2.cloudflarestorage.com')) return 'r2';
  if (host.endsWith('.backblazeb2.com')) return 'b2';
  if (host.endsWith('.wasabisys.com')) return 'wasabi';
  return 'other';
}
