// What turns a playlist into pictures: hls.js where the browser has Media Source, else the browser's own HLS. What Media Source does not take
// (recordings without IDR pictures, or in which sound begins) is played as one file.
import type HlsType from 'hls.js';
import { ApiError, Unreachable, api } from './api';
import { type Piece, from, loaded, parsePlaylist } from './program-time';
import type { Problem } from './types';
import { range, urls } from './urls';

/** What is to be played: a stretch of a camera's recording, in milliseconds since the epoch. */
export interface Recorded {
  camera: string;
  fromMs: number;
  toMs: number;
}

export interface Engine {
  /** What is playable, with its wall clock; grows more exact as media is loaded. */
  pieces(): Piece[];
  /** Begins to load at a media time. */
  start(mediaS: number): void;
  destroy(): void;
}

/** Opens a recording in a video element. `onFailure` is for what breaks after it was opened. */
export type OpenEngine = (
  video: HTMLVideoElement,
  recorded: Recorded,
  onFailure: (error: unknown) => void,
) => Promise<Engine>;

/** Cameras whose recordings Media Source cannot begin with. */
const asFiles = new Set<string>();

export const openEngine: OpenEngine = async (video, recorded, onFailure) => {
  const { default: Hls } = await import('hls.js/light');
  if (!Hls.isSupported()) return openNative(video, recorded, onFailure);
  return asFiles.has(recorded.camera)
    ? openFile(video, recorded, onFailure)
    : openHls(Hls, video, recorded, onFailure);
};

function openHls(
  Hls: typeof HlsType,
  video: HTMLVideoElement,
  recorded: Recorded,
  onFailure: (error: unknown) => void,
): Promise<Engine> {
  const { camera, fromMs, toMs } = recorded;
  const hls = new Hls({
    // A worker would be a blob of its own; transmuxing fMP4 needs none.
    enableWorker: false,
    autoStartLoad: false,
    maxBufferLength: 20,
    maxMaxBufferLength: 60,
    backBufferLength: 60,
    // Files start again at 0; small holes between them are the recorder's rounding.
    maxBufferHole: 0.3,
  });
  let pieces: Piece[] = [];
  let startS = 0;
  let isOver = false;
  let file: Engine | null = null;
  const engine: Engine = {
    pieces: () => (file ? file.pieces() : pieces),
    start(mediaS) {
      startS = mediaS;
      hls.startLoad(mediaS);
    },
    destroy() {
      isOver = true;
      if (file) file.destroy();
      else hls.destroy();
    },
  };
  async function goOnAsFile(): Promise<void> {
    const { paused, playbackRate } = video;
    const atS = video.currentTime || startS;
    hls.destroy();
    try {
      const opened = await openFile(video, recorded, onFailure);
      if (isOver) {
        opened.destroy();
        return;
      }
      file = opened;
      file.start(atS);
      video.playbackRate = playbackRate;
      if (!paused) await video.play();
    } catch (error) {
      // One that was stopped before it began is none.
      if (!isOver && !(error instanceof DOMException)) onFailure(error);
    }
  }
  return new Promise((resolve, reject) => {
    let isOpen = false;
    const learn = (details: {
      fragments: { start: number; duration: number; programDateTime: number | null }[];
    }) => {
      pieces = details.fragments
        .filter((f) => f.programDateTime !== null)
        .map((f) => ({ mediaS: f.start, durationS: f.duration, wallMs: f.programDateTime! }));
    };
    hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => {
      learn(details);
      isOpen = true;
      resolve(engine);
    });
    hls.on(Hls.Events.LEVEL_PTS_UPDATED, (_, { details }) => learn(details));
    hls.on(Hls.Events.FRAG_BUFFERED, () => {
      if (video.buffered.length > 0 || video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) return;
      asFiles.add(camera);
      void goOnAsFile();
    });
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && isOpen) {
        // Sound that begins in the middle, say: Media Source takes no further track.
        void goOnAsFile();
        return;
      }
      hls.destroy();
      const error = problemOf(data.response?.code, data.networkDetails as XMLHttpRequest | undefined);
      if (isOpen) onFailure(error);
      else reject(error);
    });
    hls.loadSource(urls.playback(camera, fromMs, toMs));
    hls.attachMedia(video);
  });
}

function problemOf(status: number | undefined, xhr: XMLHttpRequest | undefined): unknown {
  if (status === undefined) return new Error('the recording could not be decoded');
  if (status === 0) return new Unreachable();
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(xhr?.responseText ?? '') as Partial<Problem>;
  } catch {
    // Not a problem document: the status alone must do.
  }
  return new ApiError({ ...problem, status });
}

async function piecesOf({ camera, fromMs, toMs }: Recorded): Promise<Piece[]> {
  const path = { camera };
  const query = range(fromMs, toMs);
  const playlist = await api.open('get', '/api/v1/cameras/{camera}/playback.m3u8', { path, query });
  return parsePlaylist(await playlist.text());
}

/** Plays a file from the moment asked for on; it holds what is loaded so far. */
async function openFile(
  video: HTMLVideoElement,
  recorded: Recorded,
  onFailure: (error: unknown) => void,
): Promise<Engine> {
  const all = await piecesOf(recorded);
  let rest: Piece[] | null = null;
  const failed = () => onFailure(new Error('the recording could not be decoded'));
  video.addEventListener('error', failed);
  return {
    pieces: () => (rest ? loaded(rest, video.buffered.length ? video.buffered.end(0) : 0) : all),
    start(mediaS) {
      const { pieces, insideS } = from(all, mediaS);
      rest = pieces;
      // A little later: what ends there is not asked for.
      const fromMs = (pieces[0]?.wallMs ?? recorded.fromMs) + 2;
      video.src = urls.export(recorded.camera, fromMs, Math.max(recorded.toMs, fromMs + 1));
      const seek = () => (video.currentTime = insideS);
      if (insideS > 0) video.addEventListener('loadeddata', seek, { once: true });
    },
    destroy() {
      video.removeEventListener('error', failed);
      video.removeAttribute('src');
      video.load();
    },
  };
}

async function openNative(
  video: HTMLVideoElement,
  recorded: Recorded,
  onFailure: (error: unknown) => void,
): Promise<Engine> {
  const { camera, fromMs, toMs } = recorded;
  const pieces = await piecesOf(recorded);
  const failed = () => onFailure(new Error('the recording could not be decoded'));
  video.addEventListener('error', failed);
  return {
    pieces: () => pieces,
    start(mediaS) {
      video.src = urls.playback(camera, fromMs, toMs);
      const seek = () => (video.currentTime = mediaS);
      if (mediaS > 0) video.addEventListener('loadedmetadata', seek, { once: true });
    },
    destroy() {
      video.removeEventListener('error', failed);
      video.removeAttribute('src');
      video.load();
    },
  };
}
