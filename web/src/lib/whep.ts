// One attempt to watch a camera over WHEP: offer, answer, trickle, keepalive, end. What to do when it fails is live.svelte.ts.
import { ApiError, request } from './api';
import { iceServers } from './ice-servers';
import { type Candidate, type OfferParts, offerParts, sdpFragment } from './sdpfrag';
import type { StreamChoice } from './types';
import { urls } from './urls';

/** The box forgets a viewer after 30 s without a word. */
const KEEPALIVE_MS = 10_000;
/** Candidates that come close together travel together. */
const TRICKLE_MS = 50;
/** A box that is reachable answers ICE well within this. */
const CONNECT_MS = 12_000;

export type WhepFailure =
  /** The box could not be asked. */
  | { kind: 'request'; error: unknown }
  /** Asked and answered, but no media path was found: UDP is blocked. */
  | { kind: 'blocked' }
  /** The media path broke after it had worked. */
  | { kind: 'lost' }
  /** The box ended it: the lease lapsed or was cut off. */
  | { kind: 'ended' };

export interface WhepHandlers {
  onStream(stream: MediaStream): void;
  onConnected(): void;
  /** At most once; the attempt is closed by then. */
  onFailure(failure: WhepFailure): void;
}

export class WhepSession {
  #pc: RTCPeerConnection | null = null;
  #location: string | null = null;
  #etag: string | null = null;
  #offer: OfferParts | null = null;
  #waiting: Candidate[] = [];
  #gathered = false;
  #timers = new Set<ReturnType<typeof setTimeout>>();
  #trickleTimer: ReturnType<typeof setTimeout> | undefined;
  #abort = new AbortController();
  #closed = false;
  #connected = false;

  constructor(
    private readonly camera: string,
    private readonly stream: StreamChoice,
    private readonly handlers: WhepHandlers,
  ) {}

  get peer(): RTCPeerConnection | null {
    return this.#pc;
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
    for (const timer of this.#timers) clearTimeout(timer);
    clearTimeout(this.#trickleTimer);
    const pc = this.#pc;
    if (!this.#location) pc?.close();
    // The connection closes after the box has answered: closing it first would end the session under the request.
    else void this.#forget(this.#location).finally(() => pc?.close());
  }

  async #negotiate(): Promise<void> {
    const servers = await iceServers();
    if (this.#closed) return;
    const pc = new RTCPeerConnection({ iceServers: servers, bundlePolicy: 'max-bundle' });
    this.#pc = pc;
    const media = new MediaStream();
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.ontrack = ({ track }) => {
      media.addTrack(track);
      this.handlers.onStream(media);
    };
    pc.onicecandidate = ({ candidate }) => this.#candidate(candidate);
    pc.onconnectionstatechange = () => this.#connectionChanged();

    await pc.setLocalDescription();
    // No waiting for candidates: what is known goes now, the rest trickles.
    const sdp = pc.localDescription?.sdp ?? '';
    this.#offer = offerParts(sdp);
    const response = await request(urls.whep(this.camera, this.stream), {
      method: 'POST',
      body: sdp,
      headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp' },
    });
    const location = response.headers.get('Location');
    if (location) this.#location = new URL(location, document.baseURI).pathname;
    this.#etag = response.headers.get('ETag');
    const answer = await response.text();
    if (this.#closed) {
      if (this.#location) void this.#forget(this.#location);
      return;
    }
    await pc.setRemoteDescription({ type: 'answer', sdp: answer });
    this.#every(KEEPALIVE_MS, () => void this.#keepalive());
    this.#trickle();
    this.#after(CONNECT_MS, () => {
      if (!this.#connected) this.#fail({ kind: 'blocked' });
    });
  }

  #connectionChanged(): void {
    const state = this.#pc?.connectionState;
    if (state === 'connected') {
      this.#connected = true;
      this.handlers.onConnected();
    } else if (state === 'failed' || state === 'closed') {
      this.#fail({ kind: this.#connected ? 'lost' : 'blocked' });
    }
  }

  #candidate(candidate: RTCIceCandidate | null): void {
    if (candidate?.candidate) {
      this.#waiting.push({ candidate: candidate.candidate, mid: candidate.sdpMid ?? '0' });
    } else {
      this.#gathered = true;
    }
    if (this.#location) this.#trickle();
  }

  #trickle(): void {
    clearTimeout(this.#trickleTimer);
    this.#trickleTimer = setTimeout(() => void this.#sendCandidates(), TRICKLE_MS);
  }

  async #sendCandidates(): Promise<void> {
    if (!this.#offer || !this.#location || (this.#waiting.length === 0 && !this.#gathered)) return;
    const candidates = this.#waiting.splice(0);
    const body = sdpFragment(this.#offer, candidates, this.#gathered);
    const headers: Record<string, string> = { 'Content-Type': 'application/trickle-ice-sdpfrag' };
    if (this.#etag) headers['If-Match'] = this.#etag;
    try {
      await request(this.#location, { method: 'PATCH', body, headers, signal: this.#abort.signal });
    } catch {
      // The box also learns our address from our own checks; a lost candidate rarely matters.
    }
  }

  async #keepalive(): Promise<void> {
    if (!this.#location) return;
    try {
      await request(`${this.#location}/keepalive`, { method: 'POST', signal: this.#abort.signal });
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 410))
        this.#fail({ kind: 'ended' });
      // Anything else: the media path itself tells whether the box is still there.
    }
  }

  #fail(failure: WhepFailure): void {
    if (this.#closed) return;
    // A lapsed lease needs no goodbye, and neither does a box that does not answer.
    if (failure.kind === 'ended') this.#location = null;
    this.close();
    this.handlers.onFailure(failure);
  }

  async #forget(location: string): Promise<void> {
    // keepalive: the request outlives the page.
    await fetch(location, { method: 'DELETE', keepalive: true, credentials: 'same-origin' }).catch(() => {});
  }

  #after(ms: number, run: () => void): void {
    this.#timers.add(setTimeout(run, ms));
  }

  #every(ms: number, run: () => void): void {
    this.#timers.add(setInterval(run, ms));
  }
}
