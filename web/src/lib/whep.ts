// One attempt to watch a camera over WHEP, or to speak through it over WHIP: offer, answer, trickle, keepalive, end. What to do when it fails
// is live.svelte.ts and talk.svelte.ts.
import { type Api, ApiError, api } from './api';
import { type Clock, browserClock } from './clock';
import { paramsOf } from './contract';
import { dataBudget } from './data-budget.svelte';
import { iceServers } from './ice-servers';
import { LEASE_S } from './limits';
import { type Candidate, type OfferParts, offerParts, restartedAnswer, sdpFragment } from './sdpfrag';
import type { StreamChoice } from './types';

/** The box forgets a viewer after a lease without a word: two may be lost. */
const KEEPALIVE_MS = (LEASE_S * 1000) / 3;
/** Candidates that come close together travel together. */
const TRICKLE_MS = 50;
/** A box that is reachable answers ICE well within this. */
const CONNECT_MS = 12_000;
/** A connection that broke off is joined again within this, or given up. */
const RESTART_MS = 12_000;
/** An answer that takes longer is asked for again: the network may be back since. */
const RESTART_ANSWER_MS = 1500;
const RESTART_AGAIN_MS = 300;
/** Browsers say only after five seconds that they hear nothing. Of what flows all the time a gap says more than of what comes now and then; the
    box is heard each second, whatever it sends. */
const SILENT_MS = { flowing: 1200, sparse: 2500 };
const FLOWS_AFTER = 4;
const LISTEN_MS = 400;

/** Why a relay that there is gave no way: it refused this device's credentials, or it was not reached. */
export type RelayTrouble = 'refused' | 'away';

export type WhepFailure =
  /** The box could not be asked. */
  | { kind: 'request'; error: unknown }
  /** Asked and answered, but no media path was found: UDP is blocked, and no relay helped. */
  | { kind: 'blocked'; relay?: RelayTrouble }
  /** The media path broke after it had worked, and could not be joined again. */
  | { kind: 'lost' }
  /** The box ended it: the lease lapsed or was cut off. */
  | { kind: 'ended' }
  /** The viewer may not watch any more. */
  | { kind: 'refused'; error: unknown };

export interface WhepHandlers {
  onStream(stream: MediaStream): void;
  onConnected(): void;
  /** The media path broke off; it is being joined again. */
  onInterrupted?(): void;
  /** At most once; the attempt is closed by then. */
  onFailure(failure: WhepFailure): void;
}

export interface WhepPorts {
  api: Api;
  clock: Clock;
  iceServers: () => Promise<RTCIceServer[]>;
  peer: (config: RTCConfiguration) => RTCPeerConnection;
  stream: () => MediaStream;
  /** Megabytes an hour that it may cost; 0: as much as it takes. */
  budgetMb?: () => number;
}

const browserPorts: WhepPorts = {
  api,
  clock: browserClock,
  iceServers,
  peer: (config) => new RTCPeerConnection(config),
  stream: () => new MediaStream(),
  budgetMb: () => dataBudget.value,
};

/** What is sent instead of watched. */
export interface Speech {
  microphone: MediaStream;
  /** While somebody else speaks. */
  whenBusy: 'refuse' | 'queue' | 'take_over';
}

/** All that came by a connection; null where the browser does not count it. */
async function receivedBytes(pc: RTCPeerConnection): Promise<number | null> {
  let bytes: number | null = null;
  for (const report of (await pc.getStats()).values())
    if (report.type === 'transport') bytes = (bytes ?? 0) + (report.bytesReceived ?? 0);
  return bytes;
}

/** The path of a live session, by which the box's Location is read. */
const LEASE = '/api/v1/live/{lease}';

export class WhepSession {
  #pc: RTCPeerConnection | null = null;
  #path: { lease: string } | null = null;
  #etag: string | null = null;
  #servers: RTCIceServer[] = [];
  #offer: OfferParts | null = null;
  #waiting: Candidate[] = [];
  #gathered = false;
  /** What cancels the timers that run. */
  #timers: (() => void)[] = [];
  #cancelTrickle: () => void = () => {};
  #abort = new AbortController();
  #closed = false;
  #connected = false;
  /** What was heard of the relays; `has`: one of them gave a way. */
  #relay: RelayTrouble | 'has' | null = null;
  /** The box's answer as it came first. */
  #answer = '';
  #isRestarting = false;
  /** How much was received, since when no more, and how often in a row there was more. */
  #heard = { bytes: 0, atMs: 0, times: 0 };
  /** Pictures are sent beside the sound; as the box was told, and as it is to be. */
  #picture = { told: true, wanted: true };

  constructor(
    private readonly camera: string,
    private readonly stream: StreamChoice | Speech,
    private readonly handlers: WhepHandlers,
    private readonly ports: WhepPorts = browserPorts,
  ) {}

  get peer(): RTCPeerConnection | null {
    return this.#pc;
  }

  get lease(): string | null {
    return this.#path?.lease ?? null;
  }

  /** Sound alone, while nobody looks, or pictures again; the session goes on. */
  setPicture(on: boolean): void {
    this.#picture.wanted = on;
    if (this.#path) void this.#sendPicture();
  }

  async start(): Promise<void> {
    try {
      await this.#negotiate();
    } catch (error) {
      this.#fail({ kind: 'request', error });
    }
  }

  /** Ends the session and tells the box, even while the page goes away. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#abort.abort();
    for (const cancel of this.#timers) cancel();
    this.#cancelTrickle();
    const pc = this.#pc;
    if (!this.#path) pc?.close();
    // The connection closes after the box has answered: closing it first would end the session under the request.
    else void this.#forget(this.#path).finally(() => pc?.close());
  }

  /** Joins a media path that broke off anew (ICE restart): the session, its picture and its lease stay. */
  restart(): void {
    if (this.#closed || this.#isRestarting || !this.#connected || !this.#path || !this.#pc) return;
    this.#isRestarting = true;
    const given = { up: false };
    const cancel = this.ports.clock.after(RESTART_MS, () => {
      given.up = true;
      if (this.#isRestarting || this.#pc?.connectionState !== 'connected') this.#fail({ kind: 'lost' });
    });
    this.#timers.push(cancel);
    void this.#restartIce(this.#pc, this.#path, () => this.#closed || given.up)
      .catch(() => this.#fail({ kind: 'lost' }))
      .finally(() => (this.#isRestarting = false));
  }

  async #restartIce(pc: RTCPeerConnection, path: { lease: string }, isOver: () => boolean): Promise<void> {
    let isAsked = false;
    while (!isOver()) {
      if (!isAsked) {
        this.#cancelTrickle();
        this.#waiting = [];
        this.#gathered = false;
        await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
        this.#offer = offerParts(pc.localDescription?.sdp ?? '');
        isAsked = true;
      }
      const answer = await this.#askToRestart(path);
      if (isOver()) return;
      if (answer !== null) {
        const sdp = restartedAnswer(this.#answer, answer);
        if (sdp) {
          await pc.setRemoteDescription({ type: 'answer', sdp });
          this.#heard.atMs = this.ports.clock.steadyMs();
          this.#isRestarting = false;
          this.#trickle();
          return;
        }
        // The box did it, but its answer was lost on the way: once more.
        isAsked = false;
      }
      await new Promise<void>((done) => void this.ports.clock.after(RESTART_AGAIN_MS, done));
    }
  }

  /** The box's fragment; empty where it has nothing to say; null: it was not reached. */
  async #askToRestart(path: { lease: string }): Promise<string | null> {
    if (!this.#offer) throw new Error('an offer without ICE');
    const abort = new AbortController();
    const cancel = this.ports.clock.after(RESTART_ANSWER_MS, () => abort.abort());
    const body = sdpFragment(this.#offer, this.#waiting, this.#gathered);
    try {
      const response = await this.ports.api.open('patch', LEASE, {
        path,
        content: { 'application/trickle-ice-sdpfrag': body },
        headers: { 'If-Match': '*' },
        signal: abort.signal,
      });
      const answer = response.status === 200 ? await response.text() : '';
      this.#etag = response.headers.get('ETag') ?? this.#etag;
      return answer;
    } catch (error) {
      this.#refused(error);
      return null;
    } finally {
      cancel();
    }
  }

  async #negotiate(): Promise<void> {
    const servers = await this.ports.iceServers();
    if (this.#closed) return;
    this.#servers = servers;
    const pc = this.ports.peer({ iceServers: servers, bundlePolicy: 'max-bundle' });
    this.#pc = pc;
    this.#addMedia(pc);
    pc.onicecandidate = ({ candidate }) => this.#candidate(candidate);
    pc.onicecandidateerror = ({ url, errorCode }) => this.#relayFailed(url, errorCode);
    pc.onconnectionstatechange = () => this.#connectionChanged();

    await pc.setLocalDescription();
    // No waiting for candidates: what is known goes now, the rest trickles.
    const sdp = pc.localDescription?.sdp ?? '';
    this.#offer = offerParts(sdp);
    const response = await this.#send(sdp);
    this.#path = paramsOf(LEASE, response.headers.get('Location') ?? '');
    this.#etag = response.headers.get('ETag');
    const answer = await response.text();
    this.#answer = answer;
    if (this.#closed) {
      if (this.#path) void this.#forget(this.#path);
      return;
    }
    void this.#sendPicture();
    await pc.setRemoteDescription({ type: 'answer', sdp: answer });
    this.#every(KEEPALIVE_MS, () => void this.#keepalive());
    if (typeof this.stream === 'string') this.#every(LISTEN_MS, () => void this.#listen(pc));
    this.#trickle();
    this.#after(CONNECT_MS, () => {
      if (!this.#connected) this.#fail(this.#blocked());
    });
  }

  #addMedia(pc: RTCPeerConnection): void {
    if (typeof this.stream !== 'string') {
      const { microphone } = this.stream;
      for (const track of microphone.getAudioTracks()) {
        pc.addTransceiver(track, { direction: 'sendonly', streams: [microphone] });
      }
      return;
    }
    const media = this.ports.stream();
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.ontrack = ({ track }) => {
      media.addTrack(track);
      this.handlers.onStream(media);
    };
  }

  #send(sdp: string): Promise<Response> {
    const { api } = this.ports;
    const offer = {
      path: { camera: this.camera },
      content: { 'application/sdp': sdp },
      headers: { Accept: 'application/sdp' },
    };
    const budget = this.ports.budgetMb?.() ?? 0;
    const limit = budget > 0 ? { budget_mb_per_hour: budget } : {};
    this.#picture.told = this.#picture.wanted;
    const picture = this.#picture.told ? {} : { picture: 'false' as const };
    return typeof this.stream === 'string'
      ? api.open('post', '/api/v1/cameras/{camera}/whep', {
          ...offer,
          query: { stream: this.stream, ...limit, ...picture },
        })
      : api.open('post', '/api/v1/cameras/{camera}/whip', {
          ...offer,
          query: { when_busy: this.stream.whenBusy },
        });
  }

  #connectionChanged(): void {
    const state = this.#pc?.connectionState;
    if (state === 'connected') {
      if (!this.#connected) this.handlers.onConnected();
      this.#connected = true;
    } else if (state === 'disconnected' && this.#connected) {
      this.handlers.onInterrupted?.();
      this.restart();
    } else if (state === 'closed' || (state === 'failed' && !this.#connected)) {
      this.#fail(this.#connected ? { kind: 'lost' } : this.#blocked());
    } else if (state === 'failed') {
      this.restart();
    }
  }

  /** Joins anew at once where nothing comes any more. */
  async #listen(pc: RTCPeerConnection): Promise<void> {
    if (!this.#connected || this.#isRestarting) return;
    const bytes = await receivedBytes(pc).catch(() => null);
    if (bytes === null || this.#closed || this.#isRestarting) return;
    const nowMs = this.ports.clock.steadyMs();
    const { bytes: before, atMs, times } = this.#heard;
    const silentMs = nowMs - atMs;
    if (bytes !== before)
      this.#heard = { bytes, atMs: nowMs, times: silentMs < 2 * LISTEN_MS ? times + 1 : 1 };
    else if (silentMs >= (times >= FLOWS_AFTER ? SILENT_MS.flowing : SILENT_MS.sparse)) this.restart();
  }

  #relayFailed(url: string | undefined, code: number): void {
    if (!url?.startsWith('turn') || this.#relay === 'has' || this.#relay === 'refused') return;
    // 701 is the browser's own: no answer.
    this.#relay = code === 401 || code === 403 || code === 441 ? 'refused' : 'away';
  }

  #blocked(): WhepFailure {
    // Not every browser says so of a relay that it does not reach.
    const isNamed = this.#servers.some(({ urls }) => [urls].flat().some((url) => url.startsWith('turn')));
    const relay = this.#relay ?? (isNamed ? 'away' : 'has');
    return relay === 'has' ? { kind: 'blocked' } : { kind: 'blocked', relay };
  }

  #candidate(candidate: RTCIceCandidate | null): void {
    if (candidate?.candidate.includes(' typ relay')) this.#relay = 'has';
    if (candidate?.candidate) {
      this.#waiting.push({ candidate: candidate.candidate, mid: candidate.sdpMid ?? '0' });
    } else {
      this.#gathered = true;
    }
    if (this.#path) this.#trickle();
  }

  #trickle(): void {
    this.#cancelTrickle();
    this.#cancelTrickle = this.ports.clock.after(TRICKLE_MS, () => void this.#sendCandidates());
  }

  async #sendCandidates(): Promise<void> {
    if (!this.#offer || !this.#path || (this.#waiting.length === 0 && !this.#gathered)) return;
    // They go with the restart.
    if (this.#isRestarting) return;
    const candidates = this.#waiting.splice(0);
    const body = sdpFragment(this.#offer, candidates, this.#gathered);
    try {
      await this.ports.api.patch(LEASE, {
        path: this.#path,
        content: { 'application/trickle-ice-sdpfrag': body },
        headers: this.#etag ? { 'If-Match': this.#etag } : {},
        signal: this.#abort.signal,
      });
    } catch {
      // The box also learns our address from our own checks; a lost candidate rarely matters.
    }
  }

  /** Tells the box what is wanted, one wish after the other. */
  async #sendPicture(): Promise<void> {
    const { told, wanted } = this.#picture;
    if (!this.#path || told === wanted || this.#closed) return;
    this.#picture.told = wanted;
    try {
      await this.ports.api.put(`${LEASE}/picture`, {
        path: this.#path,
        body: { on: wanted },
        signal: this.#abort.signal,
      });
    } catch {
      // It is told once more with the next keep-alive; whoever waits for a picture notices that none comes.
      this.#picture.told = told;
      return;
    }
    await this.#sendPicture();
  }

  async #keepalive(): Promise<void> {
    if (!this.#path) return;
    void this.#sendPicture();
    try {
      await this.ports.api.post(`${LEASE}/keepalive`, { path: this.#path, signal: this.#abort.signal });
      // Credentials are renewed with the lease: whatever connects anew uses those.
      const servers = await this.ports.iceServers();
      if (servers !== this.#servers)
        this.#pc?.setConfiguration({ iceServers: servers, bundlePolicy: 'max-bundle' });
      this.#servers = servers;
    } catch (error) {
      this.#refused(error);
    }
  }

  /** Ends where the box says that it is over. Anything else: the media path itself tells whether the box is still there. */
  #refused(error: unknown): void {
    const status = error instanceof ApiError ? error.status : 0;
    if (status === 404 || status === 410) this.#fail({ kind: 'ended' });
    // Signed out, or not allowed any more: pictures that still come are not for this viewer.
    else if (status === 401 || status === 403) this.#fail({ kind: 'refused', error });
  }

  #fail(failure: WhepFailure): void {
    if (this.#closed) return;
    // A lapsed lease needs no goodbye, and a viewer who may not watch is not heard.
    if (failure.kind === 'ended' || failure.kind === 'refused') this.#path = null;
    this.close();
    this.handlers.onFailure(failure);
  }

  async #forget(path: { lease: string }): Promise<void> {
    await this.ports.api.delete(LEASE, { path, keepalive: true, keepSession: true }).catch(() => {});
  }

  #after(ms: number, run: () => void): void {
    this.#timers.push(this.ports.clock.after(ms, run));
  }

  #every(ms: number, run: () => void): void {
    this.#timers.push(this.ports.clock.every(ms, run));
  }
}
