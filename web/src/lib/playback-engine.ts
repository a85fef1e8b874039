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
  /** As one file from the moment asked for on, instead of piece by piece. */
  asFile?: boolean;
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

/** What Media Source does not take: it is to be opened as a file. */
export class WantsFile extends Error {}

export const openEngine: OpenEngine = async (video, recorded, onFailure) => {
  if (recorded.asFile) return openFile(video, recorded, onFailure);
  const { default: Hls } = await import('hls.js/light');
  return Hls.isSupported()
    ? openHls(Hls, video, recorded, onFailure)
    : openNative(video, recorded, onFailure);
};

function openHls(
  Hls: typeof HlsType,
  video: HTMLVideoElement,
  { camera, fromMs, toMs }: Recorded,
  onFailure: (error: unknown) => void,
): Promise<Engine> {
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
  const engine: Engine = {
    pieces: () => pieces,
    start: (mediaS) => hls.startLoad(mediaS),
    destroy: () => hls.destroy(),
  };
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
      // No picture of a first piece is one to begin with.
      if (video.buffered.length === 0 && video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA)
        onFailure(new WantsFile());
    });
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      // Where sound begins in the middle, say: Media Source takes no further track.
      const error =
        data.type === Hls.ErrorTypes.MEDIA_ERROR
          ? new WantsFile()
          : problemOf(data.response?.code, data.networkDetails as XMLHttpRequest | undefined);
      if (isOpen) {
        onFailure(error);
        return;
      }
      hls.destroy();
      reject(error);
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
  const source = openSource(video, onFailure);
  let rest: Piece[] | null = null;
  return {
    pieces: () => (rest ? loaded(rest, video.buffered.length ? video.buffered.end(0) : 0) : all),
    start(mediaS) {
      const { pieces, insideS } = from(all, mediaS);
      rest = pieces;
      // A little later: what ends there is not asked for.
      const fromMs = (pieces[0]?.wallMs ?? recorded.fromMs) + 2;
      source.start(urls.export(recorded.camera, fromMs, Math.max(recorded.toMs, fromMs + 1)), insideS);
    },
    destroy: source.destroy,
  };
}

async function openNative(
  video: HTMLVideoElement,
  recorded: Recorded,
  onFailure: (error: unknown) => void,
): Promise<Engine> {
  const pieces = await piecesOf(recorded);
  const source = openSource(video, onFailure);
  const { camera, fromMs, toMs } = recorded;
  return {
    pieces: () => pieces,
    start: (mediaS) => source.start(urls.playback(camera, fromMs, toMs), mediaS),
    destroy: source.destroy,
  };
}

/** An address that the element plays by itself. */
function openSource(video: HTMLVideoElement, onFailure: (error: unknown) => void) {
  let isStarted = false;
  let seek = () => {};
  const failed = () => {
    const isNetwork = video.error?.code === MediaError.MEDIA_ERR_NETWORK;
    onFailure(isNetwork ? new Unreachable() : new Error('the recording could not be decoded'));
  };
  return {
    start(address: string, atS: number): void {
      isStarted = true;
      video.addEventListener('error', failed);
      if (atS > 0) {
        seek = () => (video.currentTime = atS);
        video.addEventListener('loadedmetadata', seek, { once: true });
      }
      video.src = address;
    },
    /** The element may be another's by now where it was not started. */
    destroy(): void {
      if (!isStarted) return;
      video.removeEventListener('error', failed);
      video.removeEventListener('loadedmetadata', seek);
      video.removeAttribute('src');
      video.load();
    },
  };
}
