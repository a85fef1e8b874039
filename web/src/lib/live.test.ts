// A live picture that keeps itself alive: the machine's decisions, and the player that obeys them.
import { describe, expect, it } from 'vitest';
import { ApiError, Unreachable } from './api';
import { t } from './en';
import { LivePlayer } from './live.svelte';
import { ManualClock } from './testing/manual-clock';
import type { PageEvent } from './page-events';
import type { Sent } from './ration';
import type { WhepFailure, WhepHandlers } from './whep';

class FakeSession {
  readonly peer = null;
  readonly lease = 'f00d';
  isOpen = false;
  restarts = 0;
  hasPicture = true;
  constructor(
    readonly stream: string,
    readonly handlers: WhepHandlers,
  ) {}
  async start(): Promise<void> {
    this.isOpen = true;
  }
  restart(): void {
    this.restarts += 1;
  }
  setPicture(on: boolean): void {
    this.hasPicture = on;
  }
  close(): void {
    this.isOpen = false;
  }
  fail(failure: WhepFailure): void {
    this.close();
    this.handlers.onFailure(failure);
  }
}

function setUp() {
  const clock = new ManualClock();
  const sessions: FakeSession[] = [];
  let report: ((event: PageEvent) => void) | null = null;
  const box: { sent: Sent | null; asked: number } = { sent: null, asked: 0 };
  const player = new LivePlayer('door', 'auto', {
    clock,
    // In the middle: exactly the steps.
    random: () => 0.5,
    watchPage(listener) {
      report = listener;
      return () => (report = null);
    },
    session(_camera, stream, handlers) {
      const session = new FakeSession(stream, handlers);
      sessions.push(session);
      return session;
    },
    async sent() {
      box.asked += 1;
      return box.sent;
    },
  });
  const last = () => sessions.at(-1)!;
  const page = (event: PageEvent) => report?.(event);
  /** Frames at 10 fps for so long. */
  const frames = async (ms: number) => {
    for (let gone = 0; gone < ms; gone += 100) {
      await clock.advance(100);
      player.frame();
    }
  };
  const play = async () => {
    player.start();
    last().handlers.onConnected();
    await frames(300);
  };
  const open = () => sessions.filter((session) => session.isOpen).length;
  return { box, clock, sessions, player, last, page, frames, play, open, isWatching: () => report !== null };
}

const lost: WhepFailure = { kind: 'lost' };
const request = (error: unknown): WhepFailure => ({ kind: 'request', error });

describe('starting', () => {
  it('connects, waits for a frame, plays', async () => {
    const { player, last, frames } = setUp();
    player.start();
    expect(player.phase).toBe('connecting');
    // A frame that was drawn before there is a connection is no picture.
    player.frame();
    expect(player.phase).toBe('connecting');
    last().handlers.onConnected();
    expect(player.phase).toBe('waiting-frame');
    await frames(100);
    expect(player.phase).toBe('playing');
  });

  it('twice is once, and stopping leaves nothing behind', async () => {
    const { player, sessions, open, clock, isWatching, play } = setUp();
    await play();
    player.start();
    expect(sessions).toHaveLength(1);
    player.stop();
    expect([open(), clock.waiting, isWatching(), player.phase]).toEqual([0, 0, false, 'idle']);
    player.retryNow();
    expect(sessions).toHaveLength(1);
  });
});

describe('a lost box', () => {
  it('is tried again after 0.5, 1, 2, 4, 8, 15 and 15 s, with words', async () => {
    const { player, sessions, clock, last } = setUp();
    player.start();
    for (const waitMs of [500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
      const before = sessions.length;
      last().fail(request(new Unreachable()));
      expect(player.phase).toBe('retrying');
      expect([player.message, player.isBoxSilent]).toEqual([t.live.unreachable, true]);
      expect(player.retryAtMs).toBe(clock.wallMs() + waitMs);
      await clock.advance(waitMs - 1);
      expect(sessions).toHaveLength(before);
      await clock.advance(1);
      expect(sessions).toHaveLength(before + 1);
      // While it is being tried, nothing is promised for later.
      expect([player.message, player.retryAtMs]).toEqual([t.live.unreachable, null]);
    }
  });

  it('that comes back starts from the first step next time', async () => {
    const { player, clock, last, frames, sessions } = setUp();
    player.start();
    for (let i = 0; i < 4; i += 1) {
      last().fail(lost);
      await clock.advance(20_000);
    }
    last().handlers.onConnected();
    await frames(200);
    expect([player.phase, player.message]).toEqual(['playing', '']);
    const before = sessions.length;
    last().fail(lost);
    await clock.advance(500);
    expect(sessions).toHaveLength(before + 1);
  });

  it('keeps its session where the network is another one while it plays', async () => {
    const { player, sessions, page, play, last } = setUp();
    await play();
    page('network');
    page('online');
    expect([sessions.length, last().restarts, player.phase, player.message]).toEqual([1, 2, 'playing', '']);
    last().fail(lost);
    page('network');
    expect(sessions).toHaveLength(2);
  });

  it('is tried at once when the network returns or somebody asks', async () => {
    const { player, sessions, clock, last, page } = setUp();
    player.start();
    for (let i = 0; i < 5; i += 1) {
      last().fail(lost);
      if (i < 4) await clock.advance(20_000);
    }
    page('online');
    expect(sessions).toHaveLength(6);
    last().fail(lost);
    player.retryNow();
    expect(sessions).toHaveLength(7);
    await clock.advance(60_000);
    expect(sessions).toHaveLength(7);
  });
});

describe('a viewer who may not', () => {
  it('is not tried again: signed out', async () => {
    const { player, sessions, clock, last } = setUp();
    player.start();
    last().fail(request(new ApiError({ status: 401 })));
    await clock.advance(120_000);
    expect([sessions.length, player.phase, clock.waiting]).toEqual([1, 'idle', 0]);
  });

  it('any more reads so, and is not tried again', async () => {
    const { player, sessions, clock, last, play } = setUp();
    player.start();
    await play();
    last().fail({ kind: 'refused', error: new ApiError({ status: 403, detail: 'you may not watch' }) });
    expect(player.message).toBe('You may not watch.');
    await clock.advance(120_000);
    expect([sessions.length, player.phase, clock.waiting]).toEqual([1, 'idle', 0]);
  });

  it('who was cut off reads so', () => {
    const { player, last } = setUp();
    player.start();
    last().fail({ kind: 'ended' });
    expect(player.message).toBe(t.live.ended);
  });

  it('is told by whom and until when while cut off, and plays again once let back in', async () => {
    const { player, sessions, clock, last, play } = setUp();
    player.start();
    await play();
    const refused = new ApiError({
      status: 403,
      detail: 'anna cut this device off',
      cut_off: { by: 'anna', until: new Date(2026, 4, 1, 14, 12).toISOString() },
    });
    last().fail({ kind: 'ended' });
    await clock.advance(500);
    for (let n = 2; n < 6; n += 1) {
      expect(sessions.length).toBe(n);
      last().fail(request(refused));
      expect(player.message).toMatch(/^anna cut you off until \d+:12/);
      expect(player.phase).toBe('retrying');
      await clock.advance(9_999);
      expect(sessions.length).toBe(n);
      await clock.advance(1);
    }
    last().handlers.onConnected();
    player.frame();
    expect([player.phase, player.message]).toEqual(['playing', '']);
  });

  it('reads why ICE failed, and what the box refuses', () => {
    const { player, last } = setUp();
    player.start();
    last().fail({ kind: 'blocked' });
    expect(player.message).toBe(t.live.blockedBy.none);
    player.retryNow();
    last().fail({ kind: 'blocked', relay: 'refused' });
    expect(player.message).toBe(t.live.blockedBy.refused);
    player.retryNow();
    last().fail(request(new ApiError({ status: 503, detail: 'the camera has no picture' })));
    expect(player.message).toBe('The camera has no picture.');
  });
});

describe('silence', () => {
  it('of 4 s has a connection join anew that says it is well, and 12 s later ends it', async () => {
    const { player, sessions, clock, play, last } = setUp();
    await play();
    await clock.advance(3900);
    expect([last().restarts, player.message]).toEqual([0, '']);
    await clock.advance(100);
    expect([last().restarts, player.message, player.phase]).toEqual([1, t.live.interrupted, 'playing']);
    await clock.advance(11_900);
    expect(sessions).toHaveLength(1);
    await clock.advance(100);
    expect([player.message, player.phase]).toEqual([t.live.noFrames, 'retrying']);
    await clock.advance(500);
    expect(sessions).toHaveLength(2);
  });

  it('that ends while the connection joins anew is over, and the next one is a new one', async () => {
    const { player, sessions, clock, play, last, frames } = setUp();
    await play();
    last().handlers.onInterrupted!();
    expect([last().restarts, player.message]).toEqual([1, t.live.interrupted]);
    await clock.advance(6000);
    await frames(200);
    expect([player.message, player.phase]).toEqual(['', 'playing']);
    await clock.advance(4000);
    expect(last().restarts).toBe(2);
    await clock.advance(11_000);
    expect(sessions).toHaveLength(1);
  });

  it('before the first frame may last 15 s', async () => {
    const { player, clock, last } = setUp();
    player.start();
    last().handlers.onConnected();
    await clock.advance(14_900);
    expect(player.phase).toBe('waiting-frame');
    await clock.advance(200);
    expect(player.message).toBe(t.live.noFrames);
  });

  it('of news from an old session changes nothing', async () => {
    const { player, sessions, play } = setUp();
    await play();
    player.use('sub');
    sessions[0]!.handlers.onFailure(lost);
    sessions[0]!.handlers.onConnected();
    expect([player.phase, player.message]).toEqual(['playing', '']);
  });
});

describe('another stream', () => {
  it('keeps the picture until its own comes', async () => {
    const { player, sessions, open, last, play, frames } = setUp();
    await play();
    player.use('main');
    expect(sessions.map((session) => session.stream)).toEqual(['auto', 'main']);
    expect([player.phase, open()]).toEqual(['playing', 1]);
    last().handlers.onConnected();
    await frames(100);
    expect(player.phase).toBe('playing');
    player.use('main');
    expect(sessions).toHaveLength(2);
  });

  it('chosen while stopped is the one that starts', () => {
    const { player, sessions, last } = setUp();
    player.use('sub');
    expect(sessions).toHaveLength(0);
    player.start();
    expect(last().stream).toBe('sub');
  });
});

describe('sleep', () => {
  it('keeps a hidden page connected for 30 s, then not', async () => {
    const { page, open, play, clock, sessions } = setUp();
    await play();
    page('hidden');
    await clock.advance(29_900);
    expect(open()).toBe(1);
    await clock.advance(200);
    expect([open(), clock.waiting]).toEqual([0, 0]);
    page('visible');
    expect([open(), sessions.length]).toEqual([1, 2]);
  });

  it('that left the connection silent makes a new one within 0.6 s', async () => {
    const { page, play, clock, sessions } = setUp();
    await play();
    page('hidden');
    await clock.advance(10_000);
    page('visible');
    await clock.advance(500);
    expect(sessions).toHaveLength(1);
    await clock.advance(100);
    expect(sessions).toHaveLength(2);
  });

  it('that did no harm keeps the connection', async () => {
    const { page, play, clock, sessions, frames } = setUp();
    await play();
    page('hidden');
    await clock.advance(10_000);
    page('visible');
    await frames(5000);
    expect(sessions).toHaveLength(1);
  });

  it('does not go on trying for longer than it would play', async () => {
    const { page, last, play, clock, sessions } = setUp();
    await play();
    page('hidden');
    for (let i = 0; i < 60; i += 1) {
      await clock.advance(1000);
      if (last().isOpen) last().fail(lost);
    }
    const tried = sessions.length;
    await clock.advance(300_000);
    expect(sessions).toHaveLength(tried);
    expect(clock.waiting).toBe(0);
  });

  it('of a page that is left ends at once, and coming back starts over', async () => {
    const { page, play, open, sessions } = setUp();
    await play();
    page('left');
    expect(open()).toBe(0);
    page('restored');
    expect([open(), sessions.length]).toEqual([1, 2]);
  });
});

describe('a picture that is heard', () => {
  it('goes on as sound alone while the page is hidden, for as long as that lasts', async () => {
    const { player, page, open, play, clock, last, sessions, frames } = setUp();
    player.hear(true);
    await play();
    expect(last().hasPicture).toBe(true);
    page('hidden');
    expect([last().hasPicture, player.isSoundOnly]).toEqual([false, true]);
    await clock.advance(3_600_000);
    expect([open(), sessions.length, player.phase]).toEqual([1, 1, 'playing']);
    page('visible');
    expect(last().hasPicture).toBe(true);
    await frames(5000);
    expect([sessions.length, player.phase]).toEqual([1, 'playing']);
  });

  it('makes a new session where no picture comes after waking', async () => {
    const { player, page, play, clock, sessions } = setUp();
    player.hear(true);
    await play();
    page('hidden');
    await clock.advance(60_000);
    page('visible');
    await clock.advance(2900);
    expect(sessions).toHaveLength(1);
    await clock.advance(200);
    expect(sessions).toHaveLength(2);
  });

  it('is tried again while hidden, and begins with sound alone', async () => {
    const { player, page, play, clock, last, sessions } = setUp();
    player.hear(true);
    await play();
    page('hidden');
    last().fail(lost);
    await clock.advance(500);
    expect([sessions.length, last().hasPicture]).toEqual([2, false]);
    last().handlers.onConnected();
    expect(player.phase).toBe('listening');
    await clock.advance(600_000);
    expect(sessions).toHaveLength(2);
    page('visible');
    expect([player.phase, last().hasPicture]).toEqual(['waiting-frame', true]);
    player.frame();
    expect(player.phase).toBe('playing');
  });

  it('joins anew when the network changes while it is hidden', async () => {
    const { player, page, play, clock, last, sessions } = setUp();
    player.hear(true);
    await play();
    page('hidden');
    await clock.advance(60_000);
    page('online');
    expect([sessions.length, last().restarts, player.message]).toEqual([1, 1, '']);
    await clock.advance(60_000);
    expect(sessions).toHaveLength(1);
    page('visible');
    player.frame();
    expect(player.phase).toBe('playing');
  });

  it('sleeps like any other once its sound is off, and comes back with it', async () => {
    const { player, page, play, clock, open, sessions, last } = setUp();
    player.hear(true);
    await play();
    page('hidden');
    await clock.advance(100_000);
    player.hear(false);
    await clock.advance(29_900);
    expect(open()).toBe(1);
    await clock.advance(200);
    expect(open()).toBe(0);
    player.hear(true);
    expect([open(), sessions.length, last().hasPicture]).toEqual([1, 2, false]);
  });
});

describe('sound alone', () => {
  it('is no connection that carries no pictures, and lasts', async () => {
    const { player, play, clock, sessions, last, box } = setUp();
    await play();
    player.look(false);
    expect([player.phase, last().hasPicture]).toEqual(['listening', false]);
    await clock.advance(600_000);
    expect([sessions.length, box.asked]).toEqual([1, 0]);
    player.look(true);
    expect([player.phase, last().hasPicture]).toEqual(['waiting-frame', true]);
    player.frame();
    expect(player.phase).toBe('playing');
  });

  it('is what a new session begins with, and hiding the page ends it only where nobody hears it', async () => {
    const { player, page, clock, last, open } = setUp();
    player.look(false);
    player.start();
    expect(last().hasPicture).toBe(false);
    last().handlers.onConnected();
    expect(player.phase).toBe('listening');
    player.hear(true);
    page('hidden');
    await clock.advance(100_000);
    page('visible');
    expect([open(), player.phase]).toEqual([1, 'listening']);
    player.hear(false);
    page('hidden');
    await clock.advance(31_000);
    expect(open()).toBe(0);
  });
});

describe('a connection that carries no pictures', () => {
  it('is left alone while the box says that it sends sound only', async () => {
    const { box, clock, player, play, sessions, last } = setUp();
    await play();
    box.sent = { ration: 'sound', why: 'connection', available_bps: 50_000 };
    await clock.advance(20_000);
    expect(sessions.length).toBe(1);
    expect(player.phase).toBe('playing');
    expect(player.sent).toEqual(box.sent);
    expect(box.asked).toBeGreaterThanOrEqual(5);
    // From the very beginning, too.
    player.retryNow();
    last().handlers.onConnected();
    await clock.advance(60_000);
    expect([sessions.length, player.phase, player.sent]).toEqual([2, 'waiting-frame', box.sent]);
    player.frame();
    expect(player.phase).toBe('playing');
    // Pictures should come again, and do not.
    box.sent = { ration: 'sub', why: 'connection', available_bps: 700_000 };
    await clock.advance(6000);
    expect(player.message).toBe(t.live.interrupted);
    await clock.advance(12_000);
    expect(player.message).toBe(t.live.noFrames);
  });
});
