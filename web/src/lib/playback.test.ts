// Playback by wall clock: positions over gaps and at any speed, races between openings, failures in words.
import { describe, expect, it } from 'vitest';
import { ApiError, Unreachable } from './api';
import { t } from './en';
import { settle } from './testing/manual-clock';
import { Playback, RATES } from './playback.svelte';
import { type Recorded, WantsFile } from './playback-engine';
import { FakeVideo } from './testing/fake-video';
import { type Piece, holds, mediaAt, wallAt } from './program-time';

const START = Date.UTC(2026, 4, 1, 12);
const piece = (mediaS: number, durationS: number, afterS: number): Piece => ({
  mediaS,
  durationS,
  wallMs: START + afterS * 1000,
});
/** Ten seconds, a gap of a minute, ten seconds that begin half a second early on the media's line. */
const PIECES = [piece(0, 10, 0), piece(10, 10, 70)];

function setUp(pieces = PIECES) {
  const openings: { recorded: Recorded; done: (error?: unknown) => void; fail: (error: unknown) => void }[] =
    [];
  const engines = { started: [] as number[], destroyed: 0 };
  let onFrame = () => {};
  const playback = new Playback('door', {
    openEngine: (_video, recorded, onFailure) =>
      new Promise((resolve, reject) => {
        const engine = {
          pieces: () => pieces,
          start: (mediaS: number) => {
            engines.started.push(mediaS);
            video.currentTime = mediaS;
          },
          destroy: () => (engines.destroyed += 1),
        };
        const done = (error?: unknown) => (error ? reject(error) : resolve(engine));
        openings.push({ recorded, done, fail: onFailure });
      }),
    eachFrame(run) {
      onFrame = run;
      return () => (onFrame = () => {});
    },
  });
  const video = new FakeVideo();
  const detach = playback.attach(video as unknown as HTMLVideoElement);
  /** The element plays on for so many seconds of media. */
  const plays = (mediaS: number) => {
    video.currentTime += mediaS;
    onFrame();
  };
  const open = async (seekMs = START, play = true) => {
    const opened = playback.open(START, START + 80_000, seekMs, play);
    openings.at(-1)?.done();
    await opened;
    await settle();
  };
  return { playback, video, openings, engines, plays, open, detach };
}

describe('positions', () => {
  const cases: [string, number, number, boolean][] = [
    ['the start', 0, 0, true],
    ['the middle of a piece', 5, 5, true],
    ['after the gap', 15, 75, true],
  ];
  it.each(cases)('map both ways at %s', (_name, mediaS, afterS, isInside) => {
    expect(wallAt(PIECES, mediaS)).toBe(START + afterS * 1000);
    expect(mediaAt(PIECES, START + afterS * 1000)).toBe(mediaS);
    expect(holds(PIECES, START + afterS * 1000)).toBe(isInside);
  });

  it('in a gap are those of what follows; after the end there are none', () => {
    expect(mediaAt(PIECES, START + 40_000)).toBe(10);
    expect(holds(PIECES, START + 40_000)).toBe(false);
    expect(mediaAt(PIECES, START + 90_000)).toBeNull();
    expect(wallAt(PIECES, 99)).toBe(START + 80_000);
    expect(wallAt([], 1)).toBeNull();
  });
});

describe('playing', () => {
  it('goes over a gap with the wall clock, whatever the speed', async () => {
    const { playback, video, plays, open } = setUp();
    await open(START + 2000);
    expect([playback.phase, playback.positionMs]).toEqual(['playing', START + 2000]);
    playback.setRate(4);
    expect(video.playbackRate).toBe(4);
    plays(7);
    expect(playback.positionMs).toBe(START + 9000);
    plays(2);
    expect(playback.positionMs).toBe(START + 71_000);
  });

  it('has speeds from a half to eight, kept over openings', async () => {
    const { playback, video, open } = setUp();
    playback.setRate(RATES.at(-1)!);
    expect(playback.rate).toBe(8);
    await open();
    expect(video.playbackRate).toBe(8);
    playback.setRate(RATES[0]!);
    expect([playback.rate, video.playbackRate]).toEqual([0.5, 0.5]);
  });

  it('pauses, steps by frames and goes on', async () => {
    const { playback, video, open } = setUp();
    await open(START + 2000);
    playback.toggle();
    expect(playback.phase).toBe('paused');
    playback.step(1, 10);
    await settle();
    expect(playback.positionMs).toBe(START + 2100);
    playback.step(-1, 10);
    video.currentTime = 0;
    playback.step(-1, 10);
    await settle();
    expect(playback.positionMs).toBe(START);
    playback.toggle();
    await settle();
    expect(playback.phase).toBe('playing');
  });

  it('begins where the recording goes on when opened in a gap', async () => {
    const { engines, open } = setUp();
    await open(START + 40_000);
    expect(engines.started).toEqual([10]);
  });

  it('seeks in what is open instead of opening it again', async () => {
    const { playback, video, openings, open } = setUp();
    await open();
    await playback.open(START, START + 80_000, START + 75_000);
    expect([openings.length, video.currentTime]).toEqual([1, 15]);
    await playback.open(START, START + 80_000, START + 5000, false);
    await settle();
    expect([openings.length, video.currentTime, playback.phase]).toEqual([1, 5, 'paused']);
  });

  it('falls back to silence where sound needs a tap', async () => {
    const { playback, video, open } = setUp();
    video.refusesSound = true;
    await open();
    expect([video.muted, playback.wasMuted, playback.phase]).toEqual([true, true, 'playing']);
  });

  it('tells its end, and where that is', async () => {
    const { playback, video, open } = setUp();
    let ends = 0;
    playback.onEnded = () => (ends += 1);
    await open();
    expect(playback.endMs).toBe(START + 80_000);
    video.dispatchEvent(new Event('ended'));
    expect([ends, playback.phase]).toEqual([1, 'ended']);
  });
});

describe('a recording that is not what it was when it was opened', () => {
  const cut = new ApiError({ status: 416 });

  it('plays on as it is now, from where it was shown', async () => {
    const { playback, openings, engines, plays, open } = setUp();
    await open(START + 2000);
    plays(3);
    openings[0]!.fail(cut);
    openings[1]!.done();
    await settle();
    expect(openings[1]!.recorded).toEqual(openings[0]!.recorded);
    expect([playback.phase, playback.message, engines.started]).toEqual(['playing', '', [2, 5]]);
  });

  it('stays paused where it was', async () => {
    const { playback, video, openings, open } = setUp();
    await open(START + 2000);
    playback.pause();
    openings[0]!.fail(cut);
    openings[1]!.done();
    await settle();
    expect([video.paused, video.currentTime]).toEqual([true, 2]);
  });

  it('is opened once at the same place, then said', async () => {
    const { playback, openings, open } = setUp();
    await open(START + 2000);
    openings[0]!.fail(cut);
    openings[1]!.done();
    await settle();
    openings[1]!.fail(cut);
    expect([openings.length, playback.phase]).toEqual([2, 'failed']);
  });
});

describe('a recording that Media Source does not take', () => {
  it('goes on as a file, once, and is tried piece by piece when it is opened anew', async () => {
    const { playback, openings, engines, plays, open } = setUp();
    await open(START + 2000);
    plays(3);
    openings[0]!.fail(new WantsFile());
    expect(playback.positionMs).toBe(START + 5000);
    openings[1]!.done();
    await settle();
    expect(openings.map((o) => o.recorded.asFile ?? false)).toEqual([false, true]);
    expect([playback.phase, engines.started, engines.destroyed]).toEqual(['playing', [2, 5], 1]);
    openings[1]!.fail(new WantsFile());
    expect([playback.phase, openings.length, engines.destroyed]).toEqual(['failed', 2, 2]);
    await open(START + 3000);
    expect(openings[2]!.recorded.asFile ?? false).toBe(false);
  });
});

describe('races and failures', () => {
  it('an older opening that ends later is thrown away', async () => {
    const { playback, openings, engines } = setUp();
    const older = playback.open(START, START + 10_000);
    const newer = playback.open(START + 70_000, START + 80_000);
    openings[1]!.done();
    await newer;
    openings[0]!.done();
    await older;
    expect(engines.started).toEqual([10]);
    expect(engines.destroyed).toBe(1);
    openings[0]!.fail(new Unreachable());
    expect(playback.phase).toBe('playing');
  });

  it('closing while it opens leaves nothing', async () => {
    const { playback, openings, engines, detach } = setUp();
    const opened = playback.open(START, START + 10_000);
    detach();
    openings[0]!.done();
    await opened;
    expect([engines.started.length, engines.destroyed, playback.phase]).toEqual([0, 1, 'idle']);
    await playback.open(START, START + 10_000);
    expect(openings).toHaveLength(1);
  });

  it('says that nothing is recorded, that the box is lost, or that it cannot be decoded', async () => {
    const failures: [unknown, string, boolean][] = [
      [
        new ApiError({ status: 404, detail: 'nothing is recorded there' }),
        'Nothing is recorded there.',
        true,
      ],
      [new Unreachable(), new Unreachable().message, false],
      [new Error('decode'), t.playback.failed, false],
    ];
    for (const [error, message, isNothing] of failures) {
      const { playback, openings } = setUp();
      let nothing = 0;
      playback.onNothing = () => (nothing += 1);
      const opened = playback.open(START, START + 10_000);
      openings[0]!.done(error);
      await opened;
      expect([playback.phase, playback.message, playback.isNothingThere]).toEqual([
        'failed',
        message,
        isNothing,
      ]);
      expect(nothing).toBe(isNothing ? 1 : 0);
    }
  });

  it('that break while it plays are said too, and the next opening starts clean', async () => {
    const { playback, openings, open } = setUp();
    await open();
    openings[0]!.fail(new Unreachable());
    expect(playback.phase).toBe('failed');
    await open();
    expect([openings.length, playback.phase, playback.message]).toEqual([2, 'playing', '']);
  });
});
