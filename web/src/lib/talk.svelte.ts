// Speaking through one camera: who has the floor, this device's microphone and its session, and what is said of all that.
import { type Api, ApiError, api, words } from './api';
import { type Clock, browserClock } from './clock';
import { talkWords as t } from './en-talk';
import { type Microphone, openMicrophone, whyNone } from './microphone';
import { notices } from './notices.svelte';
import type { Announcement, Floor, Notice } from './types';
import { type Speech, type WhepFailure, type WhepHandlers, WhepSession } from './whep';

/** The microphone stays open so long after the last word: the next is heard at once. */
const KEEP_MS = 30_000;
const LEVEL_MS = 100;
/** Whoever waits asks by themselves now and then: a turn that somebody lets pass tells nobody. */
const WAITING_MS = 5_000;

export type TalkState = 'idle' | 'opening' | 'connecting' | 'speaking';

interface Session {
  start(): Promise<void>;
  close(): void;
}

export interface TalkPorts {
  api: Api;
  clock: Clock;
  microphone: () => Promise<Microphone>;
  session: (camera: string, speech: Speech, handlers: WhepHandlers) => Session;
  listen: (hear: (notice: Notice) => void, again: () => void) => () => void;
}

const browserPorts: TalkPorts = {
  api,
  clock: browserClock,
  microphone: openMicrophone,
  session: (camera, speech, handlers) => new WhepSession(camera, speech, handlers),
  listen: (hear, again) => notices.listen(hear, again),
};

export class Talk {
  state = $state<TalkState>('idle');
  /** Speaks until it is switched off, not only while held. */
  isHandsFree = $state(false);
  floor = $state.raw<Floor | null>(null);
  /** How loud this device's microphone is while it speaks, 0 to 1. */
  level = $state(0);
  /** What can be played besides the chime. */
  announcements = $state.raw<readonly Announcement[]>([]);
  /** What went wrong last. */
  problem = $state('');

  #wanted = false;
  /** Whether this device was heard since it began to speak. */
  #hadFloor = false;
  #microphone: Microphone | null = null;
  #session: Session | null = null;
  #cancelKeep: () => void = () => {};
  #cancelLevel: () => void = () => {};

  constructor(
    private readonly camera: string,
    private readonly ports: TalkPorts = browserPorts,
  ) {}

  /** Follows who speaks; the returned function ends that, and speaking. */
  watch(mayTalk = false): () => void {
    void this.reload();
    if (mayTalk) void this.#list();
    const again = () => void this.reload();
    const stop = this.ports.listen((notice) => {
      if (notice.type === 'talk' && notice.camera === this.camera) again();
    }, again);
    const cancel = this.ports.clock.every(WAITING_MS, () => {
      if (this.floor?.your_place) again();
    });
    return () => {
      stop();
      cancel();
      this.stop();
      this.#closeMicrophone();
    };
  }

  reload = async (): Promise<void> => {
    try {
      this.floor = await this.ports.api.get('/api/v1/cameras/{camera}/talk', {
        path: { camera: this.camera },
      });
      if (this.floor.is_you) this.#hadFloor = true;
      else if (this.#hadFloor && this.isBusy) this.#taken();
    } catch {
      // Who speaks is not known then; whoever wants to is told.
    }
  };

  /** Whether somebody else has the floor. */
  get isBusy(): boolean {
    return this.floor !== null && this.floor.speaker !== null && !this.floor.is_you;
  }

  start = async (whenBusy: Speech['whenBusy'] = 'refuse'): Promise<void> => {
    if (this.#wanted) return;
    this.#wanted = true;
    this.problem = '';
    const microphone = await this.#open();
    // Released while the browser asked.
    if (!microphone || !this.#wanted) return;
    this.state = 'connecting';
    const session = this.ports.session(
      this.camera,
      { microphone: microphone.stream, whenBusy },
      {
        onStream: () => {},
        onConnected: () => {
          if (this.#session === session) this.#speaks(microphone);
        },
        onFailure: (failure) => {
          if (this.#session === session) this.#failed(failure);
        },
      },
    );
    this.#session = session;
    await session.start();
  };

  stop = (): void => {
    const session = this.#session;
    this.#wanted = false;
    this.#session = null;
    session?.close();
    this.#rest();
  };

  /** Switches speaking on until it is switched off. */
  toggle = (): void => {
    this.isHandsFree = !this.isHandsFree;
    if (this.isHandsFree) void this.start();
    else this.stop();
  };

  /** Waits for its turn, or speaks at once where the floor is free by now. */
  queue = async (): Promise<void> => {
    this.isHandsFree = true;
    await this.start('queue');
  };

  takeOver = async (): Promise<void> => {
    this.isHandsFree = true;
    await this.start('take_over');
  };

  async #list(): Promise<void> {
    try {
      this.announcements = (await this.ports.api.get('/api/v1/announcements')).announcements;
    } catch {
      // There is the chime all the same.
    }
  }

  /** Plays the chime or an announcement at the camera. */
  announce = async (name: string): Promise<void> => {
    this.problem = '';
    try {
      await this.ports.api.post('/api/v1/cameras/{camera}/announce', {
        path: { camera: this.camera },
        body: { name },
      });
    } catch (error) {
      this.problem = words(error);
    }
  };

  leave = async (): Promise<void> => {
    try {
      await this.ports.api.delete('/api/v1/cameras/{camera}/talk', { path: { camera: this.camera } });
    } catch (error) {
      this.problem = words(error);
    }
    await this.reload();
  };

  async #open(): Promise<Microphone | null> {
    this.#cancelKeep();
    if (this.#microphone) return this.#microphone;
    this.state = 'opening';
    try {
      const microphone = await this.ports.microphone();
      this.#microphone = microphone;
      if (!this.#wanted) this.#rest();
      return microphone;
    } catch (error) {
      this.problem = whyNone(error);
      this.isHandsFree = false;
      this.#wanted = false;
      this.#rest();
      return null;
    }
  }

  #speaks(microphone: Microphone): void {
    this.state = 'speaking';
    this.#cancelLevel();
    this.#cancelLevel = this.ports.clock.every(LEVEL_MS, () => (this.level = microphone.level()));
  }

  /** Somebody took over: who it is stands in the floor, sooner than the session is known to have ended. */
  #taken(): void {
    this.isHandsFree = false;
    this.stop();
  }

  #failed(failure: WhepFailure): void {
    this.#session = null;
    this.#wanted = false;
    this.isHandsFree = false;
    this.#rest();
    if (failure.kind === 'request' || failure.kind === 'refused') {
      const { error } = failure;
      // Who speaks stands there anyway.
      const isBusy = error instanceof ApiError && error.status === 409 && error.problem.speaker;
      if (!isBusy) this.problem = words(error);
    } else {
      this.problem = { blocked: t.blocked, lost: t.ended, ended: t.ended }[failure.kind];
    }
    void this.reload();
  }

  /** Nothing is said any more: the microphone stays open for a little while. */
  #rest(): void {
    this.state = 'idle';
    this.#hadFloor = false;
    this.#cancelLevel();
    this.level = 0;
    this.#cancelKeep();
    this.#cancelKeep = this.ports.clock.after(KEEP_MS, () => this.#closeMicrophone());
  }

  #closeMicrophone(): void {
    this.#cancelKeep();
    this.#microphone?.close();
    this.#microphone = null;
  }
}
