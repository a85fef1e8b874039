// The camera page's state: live, under the finger, playing, over gaps and back to live.
import { describe, expect, it } from 'vitest';
import { t } from './en';
import { ManualClock } from './testing/manual-clock';
import type { Listener } from './news';
import type { Recorded } from './playback-engine';
import { FakeVideo } from './testing/fake-video';
import { HOUR, MINUTE, SECOND } from './time';
import { contains, liveView } from './timeline/view';
import type { GapCause, PerchEvent } from './types';
import { LEAD_MS, Viewing } from './viewing.svelte';

const iso = (ms: number) => new Date(ms).toISOString();

interface Recording {
  spans: [number, number][];
  gaps?: [number, number, GapCause][];
}

/** Minutes of the recording are before now. */
function setUp({ spans, gaps = [] }: Recording) {
  const clock = new ManualClock();
  const startMs = clock.wallMs();
  const ago = (minutes: number) => startMs - minutes * MINUTE;
  const opened: Recorded[] = [];
  let paint = () => {};
  const images: string[] = [];
  const listeners: Listener[] = [];
  const viewing = new Viewing('door', {
    clock,
    isHidden: () => false,
    listen: (listener) => (listeners.push(listener), () => {}),
    ask: async (_camera, { fromMs, toMs }) => ({
      from: iso(fromMs),
      to: iso(toMs),
      spans: spans.map(([from, to]) => ({ start: iso(ago(from)), end: iso(ago(to)), held: 'here' as const })),
      gaps: gaps.map(([from, to, cause]) => ({ start: iso(ago(from)), end: iso(ago(to)), cause })),
      events: [],
    }),
    openEngine: async (_video, recorded) => {
      opened.push(recorded);
      const { fromMs, toMs } = recorded;
      const pieces = [{ mediaS: 0, durationS: (toMs - fromMs) / 1000, wallMs: fromMs }];
      return {
        pieces: () => pieces,
        start: (mediaS: number) => (video.currentTime = mediaS),
        destroy: () => {},
      };
    },
    eachFrame: (run) => ((paint = run), () => {}),
    loadImage: async (url) => (images.push(url), true),
  });
  const video = new FakeVideo();
  viewing.playback.attach(video as unknown as HTMLVideoElement);
  const load = async () => {
    viewing.data.show(viewing.view);
    await clock.advance(200);
  };
  /** The recording that is open plays to its end. */
  const ends = async () => {
    video.dispatchEvent(new Event('ended'));
    await clock.advance(0);
  };
  const plays = (seconds: number) => {
    video.currentTime += seconds;
    paint();
  };
  return { clock, viewing, opened, images, plays, ago, load, ends };
}

const WHOLE: Recording = { spans: [[600, 0]] };

describe('a seek', () => {
  it('shows the still at once and plays when the finger rests', async () => {
    const { viewing, clock, opened, images, ago, load } = setUp(WHOLE);
    await load();
    for (let i = 0; i < 5; i += 1) {
      viewing.seek(ago(30 - i));
      await clock.advance(100);
    }
    expect([viewing.mode, opened.length]).toEqual(['scrub', 0]);
    expect(images.length).toBeGreaterThan(1);
    await clock.advance(250);
    expect(viewing.mode).toBe('play');
    expect(opened).toEqual([{ camera: 'door', fromMs: ago(26), toMs: ago(16) }]);
    expect(viewing.momentMs(0)).toBe(ago(26));
  });

  it('to now is live, and out of the window brings the window along', async () => {
    const { viewing, clock, ago, load } = setUp(WHOLE);
    await load();
    viewing.seek(ago(300));
    expect(contains(viewing.view, ago(300))).toBe(true);
    viewing.seek(ago(0) - 2 * SECOND);
    expect(viewing.mode).toBe('live');
    expect(viewing.view).toEqual(liveView(HOUR, clock.wallMs()));
  });

  it('far away waits for the timeline before it says what is there', async () => {
    const { viewing, clock, opened, ago } = setUp({ spans: [[100, 0]], gaps: [[300, 100, 'box_off']] });
    viewing.seek(ago(200), 0);
    viewing.data.show(viewing.view);
    await clock.advance(0);
    expect([viewing.mode, opened.length]).toEqual(['nothing', 0]);
    expect(viewing.nothing.startsWith(t.timeline.gap.box_off)).toBe(true);
  });

  it('that is overtaken by another plays only the last', async () => {
    const { viewing, clock, opened, ago, load } = setUp(WHOLE);
    await load();
    viewing.seek(ago(30), 0);
    viewing.seek(ago(20), 0);
    await clock.advance(1000);
    expect(opened.map((recorded) => recorded.fromMs)).toEqual([ago(20)]);
  });
});

describe('gaps', () => {
  const recording: Recording = {
    spans: [
      [60, 40],
      [20, 0],
    ],
    gaps: [[40, 20, 'camera_unavailable']],
  };

  it('say why nothing is there, and lead to what follows', async () => {
    const { viewing, clock, opened, ago, load } = setUp(recording);
    await load();
    viewing.seek(ago(30), 0);
    await clock.advance(0);
    expect([viewing.mode, viewing.nextMs]).toEqual(['nothing', ago(20)]);
    expect(viewing.nothing).toContain(t.timeline.gap.camera_unavailable);
    viewing.goNext();
    await clock.advance(0);
    expect([viewing.mode, opened.at(-1)?.fromMs]).toEqual(['play', ago(20)]);
  });

  it('of a few seconds are skipped without a word', async () => {
    const tiny = 3 / 60;
    const { viewing, clock, opened, ago, load } = setUp({
      spans: [
        [60, 40],
        [40 - tiny, 0],
      ],
    });
    await load();
    viewing.seek(ago(40 - tiny / 2), 0);
    await clock.advance(0);
    expect(opened.map((recorded) => recorded.fromMs)).toEqual([ago(40 - tiny)]);
  });

  it('are jumped over by what plays, with the window following', async () => {
    const { viewing, clock, opened, ago, load, ends } = setUp(recording);
    await load();
    viewing.view = { startMs: ago(50), spanMs: 12 * MINUTE };
    viewing.seek(ago(45), 0);
    await clock.advance(0);
    // The recording ends where the gap begins.
    viewing.playback.endMs = ago(40);
    await ends();
    expect(opened.at(-1)?.fromMs).toBe(ago(20));
    expect(contains(viewing.view, ago(20))).toBe(true);
  });
});

describe('playing', () => {
  it('opens the next stretch at the end of one, and becomes live at the live end', async () => {
    const { viewing, clock, opened, ago, load, ends } = setUp(WHOLE);
    await load();
    viewing.seek(ago(15), 0);
    await clock.advance(0);
    await ends();
    expect(opened.map(({ fromMs }) => fromMs)).toEqual([ago(15), ago(5) + 100]);
    await ends();
    expect(viewing.mode).toBe('live');
  });

  it('of an event begins a little before it, but not before its recording', async () => {
    const { viewing, clock, opened, ago, load } = setUp({ spans: [[30, 0]] });
    await load();
    viewing.playEvent({ start: iso(ago(10)) } as PerchEvent);
    await clock.advance(0);
    viewing.playEvent({ start: iso(ago(30) + SECOND) } as PerchEvent);
    await clock.advance(0);
    expect(opened.map(({ fromMs }) => fromMs)).toEqual([ago(10) - LEAD_MS, ago(30)]);
  });

  it('moves its window with the playhead, a live one with the time, none under a finger', async () => {
    const { viewing, clock, ago, load, plays } = setUp(WHOLE);
    await load();
    const before = viewing.view.startMs;
    viewing.tick(ago(0), ago(0) + SECOND);
    expect(viewing.view.startMs).toBe(before + SECOND);
    viewing.isDragging = true;
    viewing.tick(ago(0), ago(0) + 2 * SECOND);
    expect(viewing.view.startMs).toBe(before + SECOND);
    viewing.isDragging = false;
    viewing.view = { startMs: ago(40), spanMs: 10 * MINUTE };
    viewing.seek(ago(32), 0);
    await clock.advance(0);
    plays(5 * 60);
    viewing.tick(ago(0), ago(0) + SECOND);
    expect(contains(viewing.view, ago(27))).toBe(true);
  });

  it('ends with the page', async () => {
    const { viewing, clock, opened, ago, load } = setUp(WHOLE);
    await load();
    viewing.seek(ago(15));
    viewing.close();
    await clock.advance(10_000);
    expect([opened.length, clock.waiting]).toEqual([0, 0]);
  });
});
