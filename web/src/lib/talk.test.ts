// Speaking, against a box, a microphone and a session that are played.
import { describe, expect, it } from 'vitest';
import { Api } from './api';
import { talkWords as t } from './en-talk';
import { type Microphone, loudness, whyNone } from './microphone';
import { type TalkPorts, Talk } from './talk.svelte';
import { ManualClock, settle } from './testing/manual-clock';
import type { Floor, Notice } from './types';
import type { Speech, WhepHandlers } from './whep';

const FREE: Floor = {
  speaker: null,
  is_you: false,
  ends_in_s: null,
  waiting: 0,
  your_place: null,
  your_turn: false,
};

const STORED = [{ id: '1', name: 'Parcels', duration_ms: 4200, added_at: '2026-05-01T12:00:00Z' }];

function setUp() {
  const clock = new ManualClock();
  const box = {
    floor: FREE,
    asked: [] as string[],
    refuses: null as { status: number; detail: string } | null,
  };
  const played = {
    opened: 0,
    closed: 0,
    refuses: null as DOMException | null,
    sessions: [] as { speech: Speech; handlers: WhepHandlers; isClosed: boolean }[],
    hear: (_: Notice) => {},
  };
  const microphone: Microphone = {
    stream: {} as MediaStream,
    level: () => 0.5,
    close: () => (played.closed += 1),
  };
  const ports: TalkPorts = {
    api: new Api(async (address, init) => {
      box.asked.push(`${init.method} ${address}${init.body ? ` ${String(init.body)}` : ''}`);
      if (address.endsWith('/announcements')) return Response.json({ announcements: STORED });
      if (init.method === 'POST' && box.refuses)
        return Response.json(box.refuses, { status: box.refuses.status });
      if (init.method === 'POST') return new Response(null, { status: 204 });
      return init.method === 'DELETE' ? new Response(null, { status: 204 }) : Response.json(box.floor);
    }),
    clock,
    microphone: async () => {
      if (played.refuses) throw played.refuses;
      played.opened += 1;
      return microphone;
    },
    session: (_camera, speech, handlers) => {
      const session = { speech, handlers, isClosed: false };
      played.sessions.push(session);
      return { start: async () => {}, close: () => (session.isClosed = true) };
    },
    listen: (hear) => {
      played.hear = hear;
      return () => {};
    },
  };
  const talk = new Talk('door', ports);
  const end = talk.watch();
  return { clock, box, played, talk, end };
}

describe('Talk', () => {
  it('speaks while it is held and keeps the microphone for the next word', async () => {
    const { clock, played, talk } = setUp();
    void talk.start();
    await settle();
    expect([talk.state, played.opened]).toEqual(['connecting', 1]);
    played.sessions[0]!.handlers.onConnected();
    await clock.advance(100);
    expect([talk.state, talk.level]).toEqual(['speaking', 0.5]);
    talk.stop();
    expect([talk.state, talk.level, played.sessions[0]!.isClosed]).toEqual(['idle', 0, true]);
    await clock.advance(20_000);
    void talk.start();
    await settle();
    expect([played.opened, played.closed]).toEqual([1, 0]);
    talk.stop();
    await clock.advance(30_000);
    expect(played.closed).toBe(1);
  });

  it('ends as soon as somebody else is heard instead', async () => {
    const { box, played, talk } = setUp();
    // Who spoke before does not end it.
    box.floor = { ...FREE, speaker: 'Anna' };
    talk.toggle();
    await settle();
    played.sessions[0]!.handlers.onConnected();
    played.hear({ type: 'talk', camera: 'door' });
    await settle();
    expect(talk.state).toBe('speaking');
    box.floor = { ...FREE, speaker: 'Me', is_you: true };
    played.hear({ type: 'talk', camera: 'door' });
    await settle();
    expect(talk.state).toBe('speaking');
    box.floor = { ...FREE, speaker: 'Anna' };
    played.hear({ type: 'talk', camera: 'door' });
    await settle();
    expect([talk.state, talk.isHandsFree, talk.isBusy, played.sessions[0]!.isClosed]).toEqual([
      'idle',
      false,
      true,
      true,
    ]);
  });

  it('says nothing where it was released while the browser asked', async () => {
    const { played, talk } = setUp();
    void talk.start();
    talk.stop();
    await settle();
    expect([talk.state, played.sessions.length]).toEqual(['idle', 0]);
  });

  it('says why there is no microphone', async () => {
    const { played, talk } = setUp();
    for (const [name, words] of [
      ['NotAllowedError', t.denied],
      ['NotFoundError', t.none],
      ['NotReadableError', t.busy],
    ] as const) {
      played.refuses = new DOMException('no', name);
      talk.toggle();
      await settle();
      expect([talk.state, talk.problem, talk.isHandsFree]).toEqual(['idle', words, false]);
    }
    expect(whyNone(new TypeError('mediaDevices is undefined'))).toBe(t.insecure);
  });

  it('follows who speaks, and asks by itself while it waits', async () => {
    const { clock, box, played, talk } = setUp();
    await settle();
    expect(talk.isBusy).toBe(false);
    box.floor = { ...FREE, speaker: 'Anna', your_place: 1, waiting: 1 };
    played.hear({ type: 'talk', camera: 'yard' });
    await settle();
    expect(talk.isBusy).toBe(false);
    played.hear({ type: 'talk', camera: 'door' });
    await settle();
    expect(talk.isBusy).toBe(true);
    const asked = box.asked.length;
    box.floor = { ...FREE, your_place: 1, waiting: 1, your_turn: true };
    await clock.advance(5_000);
    await settle();
    expect([box.asked.length, talk.floor?.your_turn]).toEqual([asked + 1, true]);
    await talk.leave();
    expect(box.asked.at(-2)).toBe('DELETE /api/v1/cameras/door/talk');
  });

  it('plays the chime and announcements, and says who speaks instead', async () => {
    const { box, talk } = setUp();
    const end = talk.watch(true);
    await settle();
    expect(box.asked).toContain('GET /api/v1/announcements');
    expect(talk.announcements.map(({ name }) => name)).toEqual(['Parcels']);
    await talk.announce('chime');
    await talk.announce(talk.announcements[0]!.id);
    expect(box.asked.filter((asked) => asked.startsWith('POST'))).toEqual([
      'POST /api/v1/cameras/door/announce {"name":"chime"}',
      'POST /api/v1/cameras/door/announce {"name":"1"}',
    ]);
    box.refuses = { status: 409, detail: 'Anna is speaking' };
    await talk.announce('chime');
    expect(talk.problem).toBe('Anna is speaking.');
    end();
  });

  it('ends with the session, and with the page', async () => {
    const { played, talk, end } = setUp();
    talk.toggle();
    await settle();
    played.sessions[0]!.handlers.onConnected();
    played.sessions[0]!.handlers.onFailure({ kind: 'ended' });
    expect([talk.state, talk.isHandsFree, talk.problem]).toEqual(['idle', false, t.ended]);
    await talk.takeOver();
    expect(played.sessions[1]!.speech.whenBusy).toBe('take_over');
    end();
    expect([played.sessions[1]!.isClosed, played.closed]).toEqual([true, 1]);
  });
});

it('measures from 60 dB below full scale on', () => {
  const of = (value: number) => loudness(new Float32Array(64).fill(value));
  expect([of(0), of(0.0005), of(1)]).toEqual([0, 0, 1]);
  expect(of(0.1)).toBeCloseTo(2 / 3);
});
