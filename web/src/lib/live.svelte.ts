// A live picture that keeps itself alive: obeys the LiveMachine with a WHEP session, a timer and the page's events.
import { type Clock, browserClock } from './clock';
import { type LiveInput, LiveMachine, type LivePhase } from './live-machine';
import { type PageEvent, watchPage } from './page-events';
import { type Sent, askWhatIsSent } from './ration';
import type { StreamChoice } from './types';
import { type WhepHandlers, WhepSession } from './whep';

/** One attempt at a picture. */
interface LiveSession {
  readonly peer: RTCPeerConnection | null;
  /** Its name at the box, once it has one. */
  readonly lease: string | null;
  start(): Promise<void>;
  restart(): void;
  /** Pictures beside the sound, or sound alone. */
  setPicture(on: boolean): void;
  close(): void;
}

export interface LivePorts {
  clock: Clock;
  random: () => number;
  watchPage: (report: (event: PageEvent) => void) => () => void;
  session: (camera: string, stream: StreamChoice, handlers: WhepHandlers) => LiveSession;
  /** What the box sends to this session. */
  sent: (lease: string) => Promise<Sent | null>;
}

const browserPorts: LivePorts = {
  clock: browserClock,
  random: Math.random,
  watchPage,
  session: (camera, stream, handlers) => new WhepSession(camera, stream, handlers),
  sent: askWhatIsSent,
};

export class LivePlayer {
  phase = $state<LivePhase>('idle');
  message = $state('');
  /** When it is tried again, milliseconds since the epoch; null unless that is waited for. */
  retryAtMs = $state<number | null>(null);
  isBoxSilent = $state(false);
  media = $state.raw<MediaStream | null>(null);
  /** The box is asked for sound alone. */
  isSoundOnly = $state(false);
  /** What the box sends, where it was asked. */
  sent = $state.raw<Sent | null>(null);
  #machine: LiveMachine;
  #session: LiveSession | null = null;
  #timer: { dueMs: number; cancel: () => void } | null = null;
  #unwatch: (() => void) | null = null;

  constructor(
    readonly camera: string,
    private stream: StreamChoice,
    private readonly ports: LivePorts = browserPorts,
  ) {
    this.#machine = new LiveMachine(ports.random);
  }

  get peer(): RTCPeerConnection | null {
    return this.#session?.peer ?? null;
  }

  start(): void {
    this.#unwatch ??= this.ports.watchPage((event) => this.#pageEvent(event));
    this.#handle({ kind: 'start' });
  }

  stop(): void {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#handle({ kind: 'stop' });
  }

  /** Another quality: the picture stays until the new one comes. */
  use(stream: StreamChoice): void {
    if (stream === this.stream) return;
    this.stream = stream;
    this.#handle({ kind: 'again' });
  }

  /** Whether it is heard: then it goes on, as sound alone, while the page is hidden. */
  hear(on: boolean): void {
    this.#handle({ kind: 'heard', on });
  }

  /** Whether a picture is looked at: without one, sound alone is asked for. */
  look(on: boolean): void {
    this.#handle({ kind: 'looked', on });
  }

  /** The video element drew a frame. */
  frame(): void {
    this.#handle({ kind: 'frame' });
  }

  /** Asks the box what it sends. */
  async ask(): Promise<void> {
    const session = this.#session;
    if (!session?.lease) return;
    const sent = await this.ports.sent(session.lease).catch(() => null);
    if (session !== this.#session) return;
    this.sent = sent;
    if (sent?.ration === 'sound' || sent?.ration === 'keyframes') this.#handle({ kind: 'few' });
  }

  retryNow = (): void => this.#handle({ kind: 'again' });

  #pageEvent(event: PageEvent): void {
    if (event === 'restored') this.#handle({ kind: 'again' });
    else this.#handle({ kind: event === 'online' ? 'network' : event });
  }

  #handle(input: LiveInput): void {
    const { clock } = this.ports;
    const output = this.#machine.handle(input, clock.steadyMs());
    this.phase = this.#machine.phase;
    this.message = this.#machine.message;
    this.isBoxSilent = this.#machine.isBoxSilent;
    const { retryMs } = this.#machine;
    this.retryAtMs = retryMs === null ? null : clock.wallMs() + retryMs - clock.steadyMs();
    if (output === 'ask') void this.ask();
    else if (output === 'restart') this.#session?.restart();
    else if (output) this.#close();
    // What the box said before is of something else.
    if (this.isSoundOnly !== this.#machine.isSoundOnly) this.sent = null;
    this.isSoundOnly = this.#machine.isSoundOnly;
    if (output === 'open') this.#open();
    else this.#session?.setPicture(!this.isSoundOnly);
    this.#arm();
  }

  #open(): void {
    const { camera, stream, ports } = this;
    const handlers: WhepHandlers = {
      onStream: (media) => {
        if (session === this.#session) this.media = media;
      },
      onConnected: () => {
        if (session === this.#session) this.#handle({ kind: 'connected' });
      },
      onInterrupted: () => {
        if (session === this.#session) this.#handle({ kind: 'interrupted' });
      },
      onFailure: (failure) => {
        if (session === this.#session) this.#handle({ kind: 'failed', failure });
      },
    };
    const session = ports.session(camera, stream, handlers);
    this.#session = session;
    session.setPicture(!this.isSoundOnly);
    void session.start();
  }

  #close(): void {
    const session = this.#session;
    this.#session = null;
    this.sent = null;
    session?.close();
  }

  /** Frames move what is due into the future; a timer that rings early finds nothing to do and is set again. */
  #arm(): void {
    const { dueMs } = this.#machine;
    if (dueMs !== null && this.#timer && this.#timer.dueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timer = null;
    if (dueMs === null) return;
    const cancel = this.ports.clock.after(Math.max(0, dueMs - this.ports.clock.steadyMs()), () => {
      this.#timer = null;
      this.#handle({ kind: 'tick' });
    });
    this.#timer = { dueMs, cancel };
  }
}
