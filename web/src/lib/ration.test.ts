// The words for what is sent and why.
import { describe, expect, it } from 'vitest';
import { type Sent, rationWords } from './ration';

describe('what is sent', () => {
  const words = (ration: Sent['ration'], why: Sent['why'], available_bps: number | null) =>
    rationWords({ ration, why, available_bps });

  it('is said with its reason', () => {
    expect(words('sub', 'connection', 700_000)).toBe('small picture: your connection carries 700 kbit/s');
    expect(words('keyframes', 'connection', 90_000)).toBe(
      'a still every few seconds: your connection carries 90 kbit/s',
    );
    expect(words('sound', 'budget', 60_000)).toBe('sound only: your data budget');
    expect(words('sub', 'loss', null)).toBe('small picture: your connection loses much');
    expect(words('sub', 'connection', null)).toBe('small picture');
  });

  it('is not said where the viewer has all that it wished', () => {
    expect(words('main', 'wish', 9_000_000)).toBe('');
    expect(words('sub', 'wish', 9_000_000)).toBe('small picture');
  });
});
