// The connection doctor's part in this browser: each way to the box tried by itself, with a real live session where that can be.
import { api, words as said } from './api';
import { type Clock, browserClock } from './clock';
import { words as t } from './en-doctor';
import type { LiveDiagnosis } from './types';
import { type WhepFailure, type WhepHandlers, type WhepPorts, WhepSession } from './whep';

export type WayName = 'direct' | 'hls' | LiveDiagnosis['ways'][number]['way'];

/** What became of one way. */
export interface TriedWay {
  way: WayName;
  server: string | null;
  works: boolean;
  says: string;
}

/** What is tried by a session: by these servers, by relays alone or by IPv6 alone. */
export interface Attempt {
  servers: RTCIceServer[];
  by: 'all' | 'relay' | 'ipv6';
}

export interface DoctorPorts {
  clock: Clock;
  /** Begins a session that shows nothing to nobody. */
  session: (
    camera: string,
    attempt: Attempt,
    handlers: WhepHandlers,
  ) => { start(): Promise<void>; close(): void };
  /** The address that a STUN server sees; null: it does not answer. */
  seenBy: (server: RTCIceServer) => Promise<string | null>;
  /** Asks for live pictures over HTTPS. */
  playlist: (camera: string) => Promise<unknown>;
}

const GATHER_MS = 6000;
const PLAYLIST_MS = 10_000;

function peerFor({ by }: Attempt, config: RTCConfiguration): RTCPeerConnection {
  const pc = new RTCPeerConnection({ ...config, iceTransportPolicy: by === 'relay' ? 'relay' : 'all' });
  if (by === 'ipv6') {
    const take = pc.setRemoteDescription.bind(pc);
    pc.setRemoteDescription = (answer) =>
      take({ ...answer, sdp: onlyIpv6(answer.sdp ?? '') } as typeof answer);
  }
  return pc;
}

/** An answer without its IPv4 candidates. */
export function onlyIpv6(sdp: string): string {
  const isIpv4 = (line: string) =>
    line.startsWith('a=candidate:') && /^\d+\.\d+\.\d+\.\d+$/.test(line.split(' ')[4] ?? '');
  return sdp
    .split(/\r?\n/)
    .filter((line) => !isIpv4(line))
    .join('\r\n');
}

async function seenBy(server: RTCIceServer): Promise<string | null> {
  const pc = new RTCPeerConnection({ iceServers: [server] });
  try {
    pc.addTransceiver('video', { direction: 'recvonly' });
    const found = new Promise<string | null>((done) => {
      pc.onicecandidate = ({ candidate }) => {
        if (candidate?.type === 'srflx') done(candidate.address);
        else if (!candidate) done(null);
      };
      setTimeout(() => done(null), GATHER_MS);
    });
    await pc.setLocalDescription();
    return await found;
  } finally {
    pc.close();
  }
}

const browserPorts: DoctorPorts = {
  clock: browserClock,
  session: (camera, attempt, handlers) => {
    const ports: WhepPorts = {
      api,
      clock: browserClock,
      iceServers: async () => attempt.servers,
      peer: (config) => peerFor(attempt, config),
      stream: () => new MediaStream(),
    };
    return new WhepSession(camera, 'sub', handlers, ports);
  },
  seenBy,
  playlist: (camera) =>
    api.open('get', '/api/v1/cameras/{camera}/live.m3u8', {
      path: { camera },
      signal: AbortSignal.timeout(PLAYLIST_MS),
    }),
};

/** What a server's URL is for. */
export function wayOf(url: string): WayName {
  if (url.startsWith('stun')) return 'stun';
  if (url.startsWith('turns')) return 'turn_tls';
  return url.endsWith('transport=tcp') ? 'turn_tcp' : 'turn_udp';
}

const urlOf = ({ urls }: RTCIceServer): string => (Array.isArray(urls) ? (urls[0] ?? '') : urls);

/** How long it took, or why it failed. */
function connect(
  camera: string,
  attempt: Attempt,
  ports: DoctorPorts,
): Promise<{ ms: number } | { failure: WhepFailure }> {
  return new Promise((done) => {
    const beganMs = ports.clock.steadyMs();
    const session = ports.session(camera, attempt, {
      onStream: () => {},
      onConnected: () => {
        session.close();
        done({ ms: Math.round(ports.clock.steadyMs() - beganMs) });
      },
      onFailure: (failure) => done({ failure }),
    });
    void session.start();
  });
}

function whyNot(failure: WhepFailure, way: WayName): string {
  if (failure.kind === 'request' || failure.kind === 'refused') return said(failure.error);
  const { here } = t;
  if (failure.kind === 'blocked' && failure.relay) return here[failure.relay];
  if (way.startsWith('turn')) return here.relayBlocked;
  return way === 'ipv6' ? here.noIpv6 : here.noWay;
}

/** Tries all ways at once; `camera`: by whose live picture, null where there is none. */
export async function tryFromHere(
  camera: string | null,
  servers: RTCIceServer[],
  ports: DoctorPorts = browserPorts,
): Promise<TriedWay[]> {
  const { here } = t;
  const by = async (way: WayName, server: RTCIceServer | null, attempt: Attempt): Promise<TriedWay> => {
    const found = { way, server: server ? urlOf(server) : null };
    if (camera === null) return { ...found, works: false, says: here.noCamera };
    const became = await connect(camera, attempt, ports);
    if ('failure' in became) return { ...found, works: false, says: whyNot(became.failure, way) };
    const says = attempt.by === 'relay' ? here.relayed(became.ms) : here.connected(became.ms);
    return { ...found, works: true, says };
  };
  const stun = async (server: RTCIceServer): Promise<TriedWay> => {
    const address = await ports.seenBy(server);
    const says = address === null ? here.noAnswer : here.seen(address);
    return { way: 'stun', server: urlOf(server), works: address !== null, says };
  };
  const hls = async (): Promise<TriedWay> => {
    const found = { way: 'hls' as const, server: null };
    if (camera === null) return { ...found, works: false, says: here.noCamera };
    return ports.playlist(camera).then(
      () => ({ ...found, works: true, says: here.byHttps }),
      (error: unknown) => ({ ...found, works: false, says: said(error) }),
    );
  };
  const tries = [
    hls(),
    by('direct', null, { servers: [], by: 'all' }),
    by('ipv6', null, { servers: [], by: 'ipv6' }),
    ...servers.map((server) => {
      const way = wayOf(urlOf(server));
      return way === 'stun' ? stun(server) : by(way, server, { servers: [server], by: 'relay' });
    }),
  ];
  const all = await Promise.all(tries);
  const missing = (['stun', 'turn_udp', 'turn_tcp', 'turn_tls'] as const).filter(
    (way) => !all.some((tried) => tried.way === way),
  );
  const named: WayName[] = ['direct', 'ipv6', 'stun', 'turn_udp', 'turn_tcp', 'turn_tls', 'hls'];
  const none = missing.map((way) => ({ way, server: null, works: false, says: here.noServer }));
  // A server whose secret is being changed stands there with either: one that works is enough.
  const best = all.filter(
    (one) =>
      one.works || !all.some((other) => other.works && other.server === one.server && one.server !== null),
  );
  const once = best.filter(
    (one, n) => n === best.findIndex((other) => other.way === one.way && other.server === one.server),
  );
  return [...once, ...none].sort((a, b) => named.indexOf(a.way) - named.indexOf(b.way));
}
