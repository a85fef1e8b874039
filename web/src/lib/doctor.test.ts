// What the connection doctor makes of each way that is tried from a browser.
import { describe, expect, it } from 'vitest';
import { type Attempt, type DoctorPorts, onlyIpv6, tryFromHere, wayOf } from './doctor';
import { words as t } from './en-doctor';
import { ManualClock } from './testing/manual-clock';
import type { WhepFailure } from './whep';

function ports(outcome: (attempt: Attempt) => WhepFailure | null): DoctorPorts & { closed: number } {
  const all = {
    clock: new ManualClock(),
    closed: 0,
    session(_camera: string, attempt: Attempt, handlers: Parameters<DoctorPorts['session']>[2]) {
      return {
        async start() {
          const failure = outcome(attempt);
          if (failure) handlers.onFailure(failure);
          else handlers.onConnected();
        },
        close: () => void (all.closed += 1),
      };
    },
    playlist: async () => undefined,
    seenBy: async ({ urls }: RTCIceServer) => (urls === 'stun:good' ? '203.0.113.9' : null),
  };
  return all;
}

const turn = (url: string, credential = 'c'): RTCIceServer => ({ urls: [url], username: 'u', credential });

describe('from this browser', () => {
  it('each way is tried by itself and told of, in order', async () => {
    const servers = [
      turn('turns:t'),
      { urls: 'stun:good' },
      turn('turn:t?transport=udp'),
      { urls: 'stun:bad' },
    ];
    const made = ports(({ by }) => (by === 'ipv6' ? { kind: 'blocked' } : null));
    const tried = await tryFromHere('door', servers, made);
    expect(tried.map(({ way, server, works }) => [way, server, works])).toEqual([
      ['direct', null, true],
      ['ipv6', null, false],
      ['stun', 'stun:good', true],
      ['stun', 'stun:bad', false],
      ['turn_udp', 'turn:t?transport=udp', true],
      ['turn_tcp', null, false],
      ['turn_tls', 'turns:t', true],
      ['hls', null, true],
    ]);
    expect(tried[2]!.says).toBe(t.here.seen('203.0.113.9'));
    expect(tried[5]!.says).toBe(t.here.noServer);
    expect(made.closed).toBe(3);
  });

  it('says why a relay is of no use', async () => {
    for (const [relay, says] of [
      ['refused', t.here.refused],
      ['away', t.here.away],
      [undefined, t.here.relayBlocked],
    ] as const) {
      const failure: WhepFailure = relay ? { kind: 'blocked', relay } : { kind: 'blocked' };
      const tried = await tryFromHere(
        'door',
        [turn('turn:t')],
        ports(() => failure),
      );
      expect(tried.find(({ way }) => way === 'turn_udp')).toMatchObject({ works: false, says });
    }
  });

  it('of a secret that is being changed one that works is enough', async () => {
    const good = turn('turn:t', 'good');
    const made = ports(({ servers }) => (servers[0] === good || !servers[0] ? null : { kind: 'blocked' }));
    const tried = await tryFromHere('door', [turn('turn:t', 'old'), good], made);
    expect(tried.filter(({ way }) => way === 'turn_udp').map(({ works }) => works)).toEqual([true]);
  });

  it('without a camera nothing is tried that needs one', async () => {
    const tried = await tryFromHere(
      null,
      [{ urls: 'stun:good' }],
      ports(() => null),
    );
    expect(tried[0]).toMatchObject({ way: 'direct', works: false, says: t.here.noCamera });
    expect(tried.find(({ way }) => way === 'stun')?.works).toBe(true);
  });
});

it('knows what a server is for', () => {
  expect(
    ['stun:s', 'turn:t', 'turn:t?transport=udp', 'turn:t:1?transport=tcp', 'turns:t?transport=tcp'].map(
      wayOf,
    ),
  ).toEqual(['stun', 'turn_udp', 'turn_udp', 'turn_tcp', 'turn_tls']);
});

it('leaves IPv6 candidates alone in an answer', () => {
  const of = (address: string) => `a=candidate:1 1 udp 1 ${address} 8189 typ host`;
  const sdp = ['v=0', of('192.0.2.1'), of('2001:db8::1'), 'a=mid:0', ''].join('\r\n');
  expect(onlyIpv6(sdp)).toBe(['v=0', of('2001:db8::1'), 'a=mid:0', ''].join('\r\n'));
});
