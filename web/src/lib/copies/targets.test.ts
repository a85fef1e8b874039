// The stores of copies as the settings have them: one more, one less, never another than was meant.
import { describe, expect, it } from 'vitest';
import type { Tree } from '../settings/tree';
import type { CopyTargetStatus } from '../types';
import { type CopyPorts, CopyTargets } from './targets.svelte';

function setUp(sync: Tree[]) {
  const said: { patch: Tree; tag: string }[] = [];
  const probed: Tree[] = [];
  const ports: CopyPorts = {
    ask: () => Promise.resolve({ targets: [], evidence_key: null }),
    probe: (store) => {
      probed.push(store);
      return Promise.resolve([]);
    },
    settings: {
      read: () => Promise.resolve({ values: { sync }, tag: '"7"' }),
      change: (_, patch, tag) => {
        said.push({ patch, tag });
        return Promise.resolve({ tag: '"8"' } as never);
      },
    },
  };
  return { targets: new CopyTargets(ports), said, probed };
}

const body = {
  endpoint: 'https://s3.example',
  region: 'de',
  bucket: 'b',
  access_key: 'AK',
  secret_key: 'SK',
  what: 'events' as const,
};
const status = (endpoint: string, bucket: string) => ({ endpoint, bucket }) as CopyTargetStatus;

describe('the stores of copies', () => {
  it('keeps those that are there when one comes', async () => {
    const other = { endpoint: 'https://o', bucket: 'o', access_key_file: 'x' };
    const { targets, said } = setUp([other]);
    await targets.add(body);
    expect(said).toEqual([{ patch: { sync: [other, body] }, tag: '"7"' }]);
  });

  it('removes the one that was meant, and the whole key with the last', async () => {
    const [a, b] = [
      { endpoint: 'https://a', bucket: 'a' },
      { endpoint: 'https://b', bucket: 'b' },
    ];
    const two = setUp([a, b]);
    await two.targets.remove(1, status('https://b', 'b'));
    expect(two.said[0]!.patch).toEqual({ sync: [a] });
    await two.targets.remove(0, status('https://b', 'b'));
    expect(two.said).toHaveLength(1);
    const one = setUp([a]);
    await one.targets.remove(0, status('https://a', 'a'));
    expect(one.said[0]!.patch).toEqual({ sync: null });
  });

  it('tries what a store needs to be known by, and no more', async () => {
    const { targets, probed } = setUp([]);
    await targets.probe({ ...body, monthly_bytes: 5, prefix: 'home' });
    await targets.probeSaved('s3.example/b');
    const { what: _, ...keys } = body;
    expect(probed).toEqual([{ ...keys, prefix: 'home' }, { name: 's3.example/b' }]);
  });
});
