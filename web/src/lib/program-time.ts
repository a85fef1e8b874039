// Between a video element's own time and the wall clock, through EXT-X-PROGRAM-DATE-TIME (RFC 8216, 4.3.2.6).

/** A stretch of media whose wall clock is known. */
export interface Piece {
  /** Seconds on the element's time line. */
  mediaS: number;
  durationS: number;
  /** Milliseconds since the epoch of its start. */
  wallMs: number;
  /** It begins with no keyframe: what begins in it begins with the piece before. */
  isDependent?: boolean;
}

/** The pieces of a media playlist, for engines that do not say: one for each segment. */
export function parsePlaylist(text: string): Piece[] {
  const pieces: Piece[] = [];
  let mediaS = 0;
  let wallMs = NaN;
  let isDependent = false;
  for (const line of text.split(/\r?\n/)) {
    const date = /^#EXT-X-PROGRAM-DATE-TIME:(.+)/.exec(line)?.[1];
    if (date) wallMs = Date.parse(date);
    isDependent ||= line === '#EXT-X-PERCH-DEPENDENT';
    const length = /^#EXTINF:([\d.]+)/.exec(line)?.[1];
    if (!length) continue;
    const durationS = Number(length);
    pieces.push({ mediaS, durationS, wallMs, ...(isDependent && { isDependent }) });
    isDependent = false;
    mediaS += durationS;
    wallMs += durationS * 1000;
  }
  return pieces.filter((piece) => Number.isFinite(piece.wallMs));
}

/** The wall clock at a media time; null before anything is known. */
export function wallAt(pieces: readonly Piece[], mediaS: number): number | null {
  const piece = pieces.findLast((p) => p.mediaS <= mediaS + 1e-3) ?? pieces[0];
  if (!piece) return null;
  const insideS = Math.min(Math.max(0, mediaS - piece.mediaS), piece.durationS);
  return piece.wallMs + insideS * 1000;
}

/** The media time of a moment; a moment in a gap gives the next thing recorded. Null when the media ends before it. */
export function mediaAt(pieces: readonly Piece[], wallMs: number): number | null {
  const piece = pieces.find((p) => p.wallMs + p.durationS * 1000 > wallMs);
  if (!piece) return null;
  return piece.mediaS + Math.max(0, (wallMs - piece.wallMs) / 1000);
}

/** Whether a moment lies in the media itself, not in a gap or outside. */
export function holds(pieces: readonly Piece[], wallMs: number): boolean {
  return pieces.some((p) => p.wallMs <= wallMs && wallMs < p.wallMs + p.durationS * 1000);
}

/** The pieces of a file that begins with the keyframe that leads to a media time, and how far inside it that time is. */
export function from(pieces: readonly Piece[], mediaS: number): { pieces: Piece[]; insideS: number } {
  const first = Math.max(
    0,
    pieces.findLastIndex((p) => p.mediaS <= mediaS + 1e-3 && !p.isDependent),
  );
  const startS = pieces[first]?.mediaS ?? 0;
  return {
    pieces: pieces.slice(first).map((p) => ({ ...p, mediaS: p.mediaS - startS })),
    insideS: Math.max(0, mediaS - startS),
  };
}

/** What of the pieces lies before a media time. */
export function loaded(pieces: readonly Piece[], endS: number): Piece[] {
  return pieces
    .filter((p) => p.mediaS < endS)
    .map((p) => ({ ...p, durationS: Math.min(p.durationS, endS - p.mediaS) }));
}
