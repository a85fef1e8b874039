// What is said of who watches, and of their connections.
import { describe, expect, it } from 'vitest';
import type { LiveSession } from './types';
import { connectionWords, sentWords } from './watching';

const session = (change: Partial<LiveSession>): LiveSession => ({
  lease: 'f00d',
  camera: 'door',
  stream: 'sub',
  device_id: 'd',
  device_name: 'Phone',
  username: 'eve',
  role: 'viewer',
  talks: false,
  started_at: '2026-05-01T12:00:00Z',
  connected: true,
  remote: '192.0.2.7:5000',
  bytes_sent: 1_400_000,
  ration: 'sub',
  why: 'connection',
  available_bps: 700_000,
  loss: 0.002,
  round_trip_ms: 41.6,
  sent_bps: 640_000,
  relayed: true,
  ...change,
});

describe('who watches', () => {
  it.each([
    [{}, 'small picture: the connection carries 700 kbit/s'],
    [{ available_bps: null }, 'small picture: the connection carries no more'],
    [{ why: 'loss', ration: 'keyframes' }, 'a still every few seconds: the connection loses much'],
    [{ why: 'budget', ration: 'sound' }, 'sound only: their data budget'],
    [{ why: 'wish', ration: 'main' }, 'full picture, as asked for'],
    [{ why: 'wish', ration: 'sound' }, 'sound only, as asked for'],
    [{ talks: true }, 'speaks'],
    [{ connected: false }, 'connecting'],
  ] as [Partial<LiveSession>, string][])('%j', (change, words) => {
    expect(sentWords(session(change))).toBe(words);
  });

  it('has a connection of which is said what is known', () => {
    expect(connectionWords(session({}))).toBe(
      '192.0.2.7:5000, relayed, 640 kbit/s, 0.2 % lost, 42 ms there and back, 1.4 MB sent',
    );
    expect(
      connectionWords(session({ relayed: false, loss: null, round_trip_ms: null, sent_bps: null })),
    ).toBe('192.0.2.7:5000, direct, 1.4 MB sent');
    expect(connectionWords(session({ talks: true, round_trip_ms: 0.2 }))).toBe(
      '192.0.2.7:5000, relayed, 0.2 % lost, 1 ms there and back',
    );
    expect(connectionWords(session({ connected: false }))).toBe('');
  });
});
