// A camera's state in words, its colour and its reason.
import { expect, it } from 'vitest';
import { canShow, detailWords, reasonWords, stateWords, tone } from './health-words';
import { clockTime } from './time';
import type { CameraInfo, CameraState } from './types';

const NOW = new Date(2026, 4, 1, 20, 30).getTime();
const SINCE = clockTime(NOW - 60_000);

type Trouble = CameraInfo['health']['trouble'];
const camera = (state: CameraState, reason: string, sound_problem = '', trouble: Trouble = null) =>
  ({
    health: {
      state,
      reason,
      trouble,
      since: new Date(NOW - 60_000).toISOString(),
      restarts: 0,
      sound_problem,
      motion_problem: '',
      small_problem: '',
      rate_problem: '',
      notes: [] as string[],
      off: null,
    },
  }) as CameraInfo;

const absent: Trouble = { cause: 'absent', what: 'does not answer', remedy: 'Is it powered?' };
const waits: Trouble = {
  cause: 'awaits_keyframe',
  what: 'sends nothing to begin with',
  remedy: 'Shorten its interval.',
};
const slow = '6.5 of 25 frames a second are encoded: lower the frame rate';
const cases: [CameraInfo, string, string, string, boolean][] = [
  [camera('live', ''), 'Live', 'good', '', true],
  [camera('live', '', 'no device'), 'Live, no sound', 'good', '', true],
  [camera('starting', 'starting'), 'Starting', 'busy', '', true],
  // Whatever a start is called.
  [camera('starting', 'begins'), 'Starting', 'busy', '', true],
  [
    camera('starting', 'waits for a keyframe', '', waits),
    `Sends nothing to begin with since ${SINCE}`,
    'busy',
    'Sends nothing to begin with. Shorten its interval.',
    true,
  ],
  [camera('overloaded', slow), `Cannot keep up since ${SINCE}`, 'busy', `${slow}.`, true],
  [camera('stalled', 'no frames'), `No signal since ${SINCE}`, 'bad', 'No frames.', true],
  [camera('missing', 'no answer'), `Not connected since ${SINCE}`, 'bad', 'No answer.', false],
  [
    camera('missing', 'nothing answers on its port 554', '', absent),
    `Does not answer since ${SINCE}`,
    'bad',
    'Does not answer. Is it powered?',
    false,
  ],
  [camera('off', 'switched off by anna'), 'Switched off', 'off', 'Switched off by anna.', false],
  [camera('failed', 'no decoder'), `Stopped since ${SINCE}`, 'bad', 'No decoder.', false],
];

it.each(cases)('%#', (info, words, colour, reason, shows) => {
  expect([stateWords(info, NOW), tone(info), reasonWords(info), canShow(info)]).toEqual([
    words,
    colour,
    reason,
    shows,
  ]);
});

it('keeps the words of machines for who looks for a cause', () => {
  expect(detailWords(camera('missing', 'nothing answers on its port 554', '', absent))).toBe(
    'Nothing answers on its port 554.',
  );
  expect(detailWords(camera('overloaded', slow))).toBe('');
});
