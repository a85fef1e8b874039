// One attempt at a live picture, against a box and a peer connection that are played.
import { describe, expect, it } from 'vitest';
import { Api, ApiError } from './api';
import { ManualClock, settle } from './testing/manual-clock';
import { type WhepFailure, WhepSession } from './whep';

const OFFER = [
  'v=0',
  'a=ice-ufrag:uf',
  'a=ice-pwd:pw',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'a=mid:0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'a=mid:1',
  '',
].join('\r\n');
const ANSWER = [
  'v=0',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'a=mid:0',
  'a=ice-ufrag:box',
  'a=ice-pwd:word',
  'a=candidate:1 1 udp 1 192.0.2.1 8189 typ host',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'a=mid:1',
  'a=ice-ufrag:box',
  'a=ice-pwd:word',
  '',
].join('\r\n');
const FRAGMENT = [
  'a=ice-ufrag:box2',
  'a=ice-pwd:word2',
  'm=video 9 UDP/TLS/RTP/SAVPF 0',
  'a=mid:0',
  'a=candidate:2 1 udp 1 192.0.2.1 8189 typ host',
  'a=end-of-candidates',
  '',
].join('\r\n');
const LEASE = '/api/v1/live/f00d';

class FakePeer {
  connectionState: RTCPeerConnectionState = 'new';
  localDescription: { sdp: string } | null = null;
  onconnectionstatechange: (() => void) | null = null;
  onicecandidate: ((event: { candidate: Partial<RTCIceCandidate> | null }) => void) | null = null;
  onicecandidateerror: ((event: { url?: string; errorCode: number }) => void) | null = null;
  ontrack: ((event: { track: unknown }) => void) | null = null;
  transceivers: string[] = [];
  answer = '';

  addTransceiver(kind: string, { direction }: { direction: string }): void {
    this.transceivers.push(`${kind} ${direction}`);
  }
  offers = 0;
  bytes = 0;
  isSilent = false;
  async getStats(): Promise<Map<string, unknown>> {
    if (!this.isSilent) this.bytes += 100;
    return new Map([['t', { type: 'transport', bytesReceived: this.bytes }]]);
  }
  async createOffer({ iceRestart }: { iceRestart: boolean }): Promise<{ sdp: string }> {
    if (!iceRestart) throw new Error('the same connection, joined anew');
    this.offers += 1;
    return { sdp: OFFER.replace('ufrag:uf', `ufrag:uf${this.offers}`) };
  }
  async setLocalDescription(description?: { sdp: string }): Promise<void> {
    this.localDescription = description ?? { sdp: OFFER };
  }
  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    this.answer = sdp;
  }
  close(): void {
    this.connectionState = 'closed';
  }
  becomes(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
  finds(candidate: string | null): void {
    this.onicecandidate?.({ candidate: candidate === null ? null : { candidate, sdpMid: '0' } });
  }
}

function setUp({ whep = 201, keepalive = 204, servers = [] as RTCIceServer[] } = {}) {
  const clock = new ManualClock();
  const peer = new FakePeer();
  const sent: { line: string; init: RequestInit }[] = [];
  const box = { whep, keepalive, isLost: false, restart: null as string | null, patch: 204 };
  const api = new Api(async (address, init) => {
    if (init.signal?.aborted) throw new DOMException('aborted', 'AbortError');
    sent.push({ line: `${init.method} ${address}`, init });
    if (box.isLost) throw new TypeError('no route');
    if (address.includes('/whep')) {
      const headers = { Location: LEASE, ETag: '"e1"', 'Content-Type': 'application/sdp' };
      return new Response(box.whep === 201 ? ANSWER : 'no', { status: box.whep, headers });
    }
    if (box.restart !== null && init.method === 'PATCH' && /uf\d/.test(String(init.body))) {
      return new Response(box.restart, { status: 200, headers: { ETag: '"e2"' } });
    }
    const status = address.endsWith('/keepalive') ? box.keepalive : init.method === 'PATCH' ? box.patch : 204;
    return new Response(status === 204 ? null : 'no', { status });
  });
  const failures: WhepFailure[] = [];
  const seen = { connected: 0, streams: 0 };
  const tracks: unknown[] = [];
  const session = new WhepSession(
    'door',
    'sub',
    {
      onStream: () => (seen.streams += 1),
      onConnected: () => (seen.connected += 1),
      onFailure: (failure) => failures.push(failure),
    },
    {
      api,
      clock,
      iceServers: async () => servers,
      peer: () => peer as unknown as RTCPeerConnection,
      stream: () => ({ addTrack: (track: unknown) => tracks.push(track) }) as unknown as MediaStream,
    },
  );
  const lines = () => sent.map(({ line }) => line);
  return { clock, peer, sent, lines, box, failures, seen, tracks, session };
}

describe('the offer', () => {
  it('asks for one video and one audio and takes the answer', async () => {
    const { session, peer, sent, tracks, seen } = setUp();
    await session.start();
    expect(peer.transceivers).toEqual(['video recvonly', 'audio recvonly']);
    expect(sent[0]!.line).toBe('POST /api/v1/cameras/door/whep?stream=sub');
    expect(sent[0]!.init.body).toBe(OFFER);
    expect(peer.answer).toBe(ANSWER);
    peer.ontrack?.({ track: 'video' });
    peer.ontrack?.({ track: 'audio' });
    expect(tracks).toEqual(['video', 'audio']);
    expect(seen.streams).toBe(2);
  });

  it('fails once with what the box said, and leaves nothing open', async () => {
    const { session, failures, peer, clock, lines } = setUp({ whep: 503 });
    await session.start();
    expect(failures).toMatchObject([{ kind: 'request', error: { problem: { status: 503 } } }]);
    expect(peer.connectionState).toBe('closed');
    expect(clock.waiting).toBe(0);
    expect(lines()).toHaveLength(1);
  });

  it('that is answered after the viewer left ends at the box too', async () => {
    const { session, peer, lines } = setUp();
    const started = session.start();
    // Far enough for the offer to be on its way.
    for (let i = 0; i < 4; i += 1) await Promise.resolve();
    session.close();
    await started;
    await settle();
    expect(peer.connectionState).toBe('closed');
    expect(lines().at(-1)).toBe(`DELETE ${LEASE}`);
  });
});

describe('candidates', () => {
  it('that come close together travel together, with the end sent once', async () => {
    const { session, peer, sent, clock } = setUp();
    await session.start();
    peer.finds('candidate:1');
    await clock.advance(20);
    peer.finds('candidate:2');
    peer.finds(null);
    await clock.advance(200);
    const patches = sent.filter(({ line }) => line === `PATCH ${LEASE}`);
    expect(patches).toHaveLength(1);
    expect(patches[0]!.init.body).toContain('a=candidate:1\r\na=candidate:2\r\na=end-of-candidates');
    expect(patches[0]!.init.headers).toMatchObject({ 'If-Match': '"e1"' });
  });

  it('found before the answer wait for it', async () => {
    const { session, peer, sent, clock } = setUp();
    const started = session.start();
    for (let i = 0; i < 4; i += 1) await Promise.resolve();
    peer.finds('candidate:1');
    await started;
    await clock.advance(200);
    expect(sent.map(({ line }) => line.split(' ')[0])).toEqual(['POST', 'PATCH']);
  });
});

describe('the connection', () => {
  it('without any path is blocked, at once or after 12 s', async () => {
    const silent = setUp();
    await silent.session.start();
    await silent.clock.advance(11_900);
    expect(silent.failures).toEqual([]);
    await silent.clock.advance(200);
    expect(silent.failures).toEqual([{ kind: 'blocked' }]);
    const refused = setUp();
    await refused.session.start();
    refused.peer.becomes('failed');
    expect(refused.failures).toEqual([{ kind: 'blocked' }]);
  });

  it('that no relay helped tells why', async () => {
    for (const [errors, candidates, relay] of [
      [[], [], undefined],
      [[['stun:s', 701]], [], undefined],
      [[['turn:a', 701]], [], 'away'],
      [
        [
          ['turn:a', 701],
          ['turn:b', 401],
          ['turn:a', 701],
        ],
        [],
        'refused',
      ],
      [[['turn:a', 401]], ['candidate:1 1 udp 1 192.0.2.7 1 typ relay'], undefined],
    ] as [[string, number][], string[], string | undefined][]) {
      const { session, peer, failures } = setUp();
      await session.start();
      for (const [url, errorCode] of errors) peer.onicecandidateerror?.({ url, errorCode });
      for (const candidate of candidates) peer.finds(candidate);
      peer.becomes('failed');
      expect(failures).toEqual([relay ? { kind: 'blocked', relay } : { kind: 'blocked' }]);
    }
  });

  it('that has a relay which nothing is heard of is away from it', async () => {
    const { session, peer, failures } = setUp({
      servers: [{ urls: ['turn:t'], username: 'u', credential: 'c' }],
    });
    await session.start();
    peer.becomes('failed');
    expect(failures).toEqual([{ kind: 'blocked', relay: 'away' }]);
  });

  it('that breaks after it stood is lost', async () => {
    const { session, peer, failures, seen, clock } = setUp();
    await session.start();
    peer.becomes('connected');
    expect(seen.connected).toBe(1);
    await clock.advance(60_000);
    expect(failures).toEqual([]);
    peer.becomes('failed');
    peer.becomes('failed');
    await clock.advance(12_000);
    expect(failures).toEqual([{ kind: 'lost' }]);
  });
});

describe('the lease', () => {
  it('is kept alive every ten seconds', async () => {
    const { session, peer, lines, clock } = setUp();
    await session.start();
    peer.becomes('connected');
    await clock.advance(35_000);
    expect(lines().filter((line) => line === `POST ${LEASE}/keepalive`)).toHaveLength(3);
  });

  it('that the box ended needs no goodbye', async () => {
    const { session, peer, box, failures, lines, clock } = setUp();
    await session.start();
    peer.becomes('connected');
    box.keepalive = 404;
    await clock.advance(10_000);
    expect(failures).toEqual([{ kind: 'ended' }]);
    expect(lines().some((line) => line.startsWith('DELETE'))).toBe(false);
    expect(peer.connectionState).toBe('closed');
  });

  it.each([401, 403])('ends the picture of a viewer whom the box refuses (%i)', async (status) => {
    const { session, peer, box, failures, lines, clock } = setUp();
    await session.start();
    peer.becomes('connected');
    box.keepalive = status;
    await clock.advance(10_000);
    expect(failures).toEqual([{ kind: 'refused', error: expect.any(ApiError) }]);
    expect(lines().some((line) => line.startsWith('DELETE'))).toBe(false);
    expect(peer.connectionState).toBe('closed');
  });

  it('outlives a box that does not answer: the media path decides', async () => {
    const { session, peer, box, failures, clock } = setUp();
    await session.start();
    peer.becomes('connected');
    box.isLost = true;
    await clock.advance(30_000);
    expect(failures).toEqual([]);
  });

  it('is given back on closing, before the connection ends, and nothing runs on', async () => {
    const { session, peer, sent, clock, failures } = setUp();
    await session.start();
    peer.becomes('connected');
    session.close();
    session.close();
    expect(peer.connectionState).toBe('connected');
    await settle();
    const last = sent.at(-1)!;
    expect(last.line).toBe(`DELETE ${LEASE}`);
    expect(last.init.keepalive).toBe(true);
    expect(peer.connectionState).toBe('closed');
    const before = sent.length;
    await clock.advance(60_000);
    expect(sent).toHaveLength(before);
    expect(clock.waiting).toBe(0);
    expect(failures).toEqual([]);
  });
});

describe('a connection that broke off', () => {
  async function connected() {
    const all = setUp();
    await all.session.start();
    all.peer.becomes('connected');
    all.peer.finds(null);
    await all.clock.advance(100);
    all.sent.length = 0;
    return all;
  }

  it('joins anew by the same session, with the box’s new credentials and candidates', async () => {
    const { box, clock, failures, peer, seen, sent } = await connected();
    box.restart = FRAGMENT;
    peer.becomes('disconnected');
    await settle();
    expect(sent.map(({ line }) => line)).toEqual([`PATCH ${LEASE}`]);
    expect(sent[0]!.init.headers).toMatchObject({ 'If-Match': '*' });
    expect(String(sent[0]!.init.body)).toContain('a=ice-ufrag:uf1');
    expect(peer.answer.match(/a=ice-ufrag:box2/g)).toHaveLength(2);
    expect(peer.answer.match(/a=candidate:.*/g)).toEqual(['a=candidate:2 1 udp 1 192.0.2.1 8189 typ host']);
    peer.becomes('connected');
    peer.finds('candidate:9');
    await clock.advance(50);
    expect(sent[1]!.init.headers).toMatchObject({ 'If-Match': '"e2"' });
    await clock.advance(60_000);
    expect([failures, seen.connected]).toEqual([[], 1]);
  });

  it('joins anew as soon as nothing comes any more, whatever the browser says', async () => {
    const { box, clock, failures, peer, sent } = await connected();
    box.restart = FRAGMENT;
    await clock.advance(10_000);
    expect(peer.offers).toBe(0);
    peer.isSilent = true;
    await clock.advance(1600);
    expect([peer.offers, sent.filter(({ line }) => line.startsWith('PATCH')).length]).toEqual([1, 1]);
    peer.isSilent = false;
    await clock.advance(9000);
    expect([peer.offers, failures]).toEqual([1, []]);
  });

  it('of which little comes is given longer', async () => {
    const { box, clock, peer } = await connected();
    box.restart = FRAGMENT;
    for (let n = 0; n < 5; n += 1) {
      peer.isSilent = false;
      await clock.advance(400);
      peer.isSilent = true;
      await clock.advance(1600);
    }
    expect(peer.offers).toBe(0);
    await clock.advance(1200);
    expect(peer.offers).toBe(1);
  });

  it('asks again until the network is back, with the same offer while the box was not reached', async () => {
    const { box, clock, failures, peer } = await connected();
    box.isLost = true;
    peer.becomes('disconnected');
    await clock.advance(5000);
    expect([peer.offers, peer.answer]).toEqual([1, ANSWER]);
    [box.isLost, box.restart] = [false, FRAGMENT];
    await clock.advance(300);
    expect(peer.answer).toContain('a=ice-ufrag:box2');
    peer.becomes('connected');
    await clock.advance(20_000);
    expect(failures).toEqual([]);
  });

  it('offers anew where the box’s answer was lost on the way', async () => {
    const { box, clock, peer } = await connected();
    // It says nothing to what it did already.
    peer.becomes('disconnected');
    await clock.advance(700);
    expect(peer.offers).toBe(3);
    box.restart = FRAGMENT;
    await clock.advance(300);
    expect(peer.answer).toContain('a=ice-ufrag:box2');
  });

  it('is lost after 12 s, and over at once where the box knows it no more', async () => {
    const { box, clock, failures, peer } = await connected();
    box.isLost = true;
    peer.becomes('disconnected');
    peer.becomes('failed');
    await clock.advance(11_900);
    expect(failures).toEqual([]);
    await clock.advance(100);
    expect(failures).toEqual([{ kind: 'lost' }]);
    const gone = await connected();
    gone.box.patch = 404;
    gone.peer.becomes('disconnected');
    await settle();
    expect(gone.failures).toEqual([{ kind: 'ended' }]);
  });
});
