// What the page does itself to show a live picture as the camera wants it seen.
import { describe, expect, it } from 'vitest';
import { liveLook, ratioOf } from './live-look';

const camera = (quarters: number, mirrored: boolean, displayWidth = 360) => ({
  width: 360,
  height: 640,
  display_width: displayWidth,
  orientation: { quarters, mirrored },
});

describe('how the large stream is drawn', () => {
  it('is left to browsers that show it right', () => {
    expect(liveLook(camera(0, false), false)).toBeNull();
    expect(liveLook(camera(3, false), true)).toBeNull();
  });

  it('is turned where the browser does not do it', () => {
    const look = liveLook(camera(3, false), false);
    expect(look).toEqual({ ratio: 360 / 640, transform: 'rotate(270deg)', isOnSide: true });
    expect(liveLook(camera(2, false), false)).toMatchObject({ transform: 'rotate(180deg)', isOnSide: false });
  });

  it('is mirrored before it is turned', () => {
    expect(liveLook(camera(1, true), false)?.transform).toBe('rotate(90deg) scaleX(-1)');
    expect(liveLook(camera(1, true), true)).toMatchObject({ transform: 'scaleY(-1)', isOnSide: false });
    expect(liveLook(camera(2, true), true)?.transform).toBe('scaleX(-1)');
  });

  it('has oblong pixels drawn in their shape', () => {
    expect(liveLook(camera(0, false, 480), false)).toMatchObject({ ratio: 0.75, transform: 'none' });
    expect(liveLook(camera(1, false, 480), true)).toMatchObject({ ratio: 0.75, transform: 'none' });
  });
});

describe('the shape of a picture', () => {
  it('is the usual one before the first came', () => {
    expect(ratioOf({ display_width: 640, height: 480 })).toBe(4 / 3);
    expect(ratioOf({ display_width: null, height: null })).toBe(16 / 9);
  });
});
