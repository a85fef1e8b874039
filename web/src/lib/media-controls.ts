// What a phone shows of a sound while it is locked, and its buttons there: the browser's Media Session.

export interface HeardSound {
  title: string;
  artist: string;
  /** A tap on play or pause. */
  onsound: (on: boolean) => void;
}

/** Shows a sound as the one that plays; the returned function takes it away. */
export function showControls(sound: HeardSound): () => void {
  const session = 'mediaSession' in navigator ? navigator.mediaSession : null;
  if (!session) return () => {};
  const artwork = [{ src: '/icons/icon-512.png', sizes: '512x512', type: 'image/png' }];
  session.metadata = new MediaMetadata({ title: sound.title, artist: sound.artist, artwork });
  session.playbackState = 'playing';
  const actions: [MediaSessionAction, () => void][] = [
    ['play', () => sound.onsound(true)],
    ['pause', () => sound.onsound(false)],
    ['stop', () => sound.onsound(false)],
  ];
  for (const [action, run] of actions) handle(session, action, run);
  return () => {
    session.playbackState = 'paused';
  };
}

/** Nothing sounds on this page any more. */
export function clearControls(): void {
  if (!('mediaSession' in navigator)) return;
  navigator.mediaSession.metadata = null;
  navigator.mediaSession.playbackState = 'none';
  for (const action of ['play', 'pause', 'stop'] as const) handle(navigator.mediaSession, action, null);
}

function handle(session: MediaSession, action: MediaSessionAction, run: (() => void) | null): void {
  try {
    session.setActionHandler(action, run);
  } catch {
    // A browser that does not know this button shows none.
  }
}
