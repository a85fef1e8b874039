// Media time to wall clock and back.
import { describe, expect, it } from 'vitest';
import { from, holds, loaded, mediaAt, parsePlaylist, wallAt } from './program-time';

const playlist = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MAP:URI="segments/1.mp4",BYTERANGE="800@0"
#EXT-X-PROGRAM-DATE-TIME:2025-03-09T10:00:00.500000Z
#EXTINF:1.000000,
#EXT-X-BYTERANGE:1000@800
segments/1.mp4
#EXTINF:2.000000,
#EXT-X-BYTERANGE:1000@1800
segments/1.mp4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="segments/2.mp4",BYTERANGE="800@0"
#EXT-X-PROGRAM-DATE-TIME:2025-03-09T10:01:00.000000Z
#EXTINF:1.500000,
#EXT-X-BYTERANGE:1000@800
segments/2.mp4
#EXT-X-ENDLIST
`;
const start = Date.UTC(2025, 2, 9, 10);

describe('program time', () => {
  const pieces = parsePlaylist(playlist);

  it('reads a playlist', () => {
    expect(pieces).toEqual([
      { mediaS: 0, durationS: 1, wallMs: start + 500 },
      { mediaS: 1, durationS: 2, wallMs: start + 1500 },
      { mediaS: 3, durationS: 1.5, wallMs: start + 60_000 },
    ]);
  });

  it('maps media time to the wall clock across a gap', () => {
    expect(wallAt(pieces, 0)).toBe(start + 500);
    expect(wallAt(pieces, 2.5)).toBe(start + 3000);
    expect(wallAt(pieces, 3.25)).toBe(start + 60_250);
    expect(wallAt(pieces, 99)).toBe(start + 61_500);
    expect(wallAt([], 1)).toBeNull();
  });

  it('maps the wall clock to media time; a gap gives what comes next', () => {
    expect(mediaAt(pieces, start + 2000)).toBe(1.5);
    expect(mediaAt(pieces, start + 30_000)).toBe(3);
    expect(mediaAt(pieces, start + 90_000)).toBeNull();
    expect(mediaAt(pieces, start - 5000)).toBe(0);
    expect(holds(pieces, start + 2000)).toBe(true);
    expect(holds(pieces, start + 30_000)).toBe(false);
  });

  it('begins a file with the piece of a moment, and holds what is loaded of it', () => {
    expect(from(pieces, 2.5)).toEqual({
      pieces: [
        { mediaS: 0, durationS: 2, wallMs: start + 1500 },
        { mediaS: 2, durationS: 1.5, wallMs: start + 60_000 },
      ],
      insideS: 1.5,
    });
    expect(from(pieces, 0)).toEqual({ pieces, insideS: 0 });
    const large = parsePlaylist(playlist.replace('#EXTINF:2', '#EXT-X-PERCH-DEPENDENT\n$&'));
    expect(large.map((piece) => piece.isDependent ?? false)).toEqual([false, true, false]);
    expect(from(large, 2.5)).toEqual({ pieces: large, insideS: 2.5 });
    expect(from(large, 3.5)).toEqual({ pieces: [{ ...large[2]!, mediaS: 0 }], insideS: 0.5 });
    expect(from([], 5)).toEqual({ pieces: [], insideS: 5 });
    expect(loaded(pieces, 1.5)).toEqual([pieces[0], { mediaS: 1, durationS: 0.5, wallMs: start + 1500 }]);
    expect(loaded(pieces, 0)).toEqual([]);
  });
});
