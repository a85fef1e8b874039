// The presets of stores: address and region of each, and what cannot be an answer.
import { describe, expect, it } from 'vitest';
import { type Answers, NO_ANSWERS, PRESETS, STORES, type Store, fits, storeOf } from './presets';

const answers = (more: Partial<Answers>): Answers => ({ ...NO_ANSWERS, ...more });

describe('the presets of stores', () => {
  it.each<[Store, Partial<Answers>, string, string]>([
    ['aws', { region: 'eu-central-1' }, 'https://s3.eu-central-1.amazonaws.com', 'eu-central-1'],
    ['r2', { account: '0'.repeat(32) }, `https://${'0'.repeat(32)}.r2.cloudflarestorage.com`, 'auto'],
    ['b2', { region: 'us-west-004' }, 'https://s3.us-west-004.backblazeb2.com', 'us-west-004'],
    ['wasabi', { region: ' eu-west-2 ' }, 'https://s3.eu-west-2.wasabisys.com', 'eu-west-2'],
    ['minio', { endpoint: 'http://nas:9000/' }, 'http://nas:9000', 'us-east-1'],
    ['garage', { endpoint: 'http://nas:3900' }, 'http://nas:3900', 'garage'],
    ['other', { endpoint: 'https://s3.example', region: 'de' }, 'https://s3.example', 'de'],
  ])('makes address and region of %s', (store, given, endpoint, region) => {
    const all = answers(given);
    expect(PRESETS[store].asks.every((asked) => fits(store, asked, all))).toBe(true);
    expect(PRESETS[store].endpoint(all)).toBe(endpoint);
    expect(PRESETS[store].region(all)).toBe(region);
    if (!PRESETS[store].asks.includes('endpoint')) expect(storeOf(endpoint)).toBe(store);
    else expect(storeOf(endpoint)).toBe('other');
  });

  it('does not take what cannot be an answer', () => {
    for (const store of STORES) {
      const [first] = PRESETS[store].asks;
      for (const text of ['', 'a b', 'evil/..', 'https://', 'https://a@b', 'https://host/path', 'x?y'])
        expect(fits(store, first!, answers({ [first!]: text })), `${store}: ${text}`).toBe(false);
    }
  });
});
