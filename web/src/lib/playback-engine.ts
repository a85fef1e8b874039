// What turns a playlist into pictures: hls.js where the browser has Media Source, else the browser's own HLS.
import type HlsType from 'hls.js';
import { ApiError, Unreachable, api } from './api';
import { type Piece, parsePlaylist } from './program-time';
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

export const openEngine: OpenEngine = async (video, recorded, onFailure) => {
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
    let recovered = false;
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
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
        recovered = true;
        hls.recoverMediaError();
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

async function openNative(
  video: HTMLVideoElement,
  { camera, fromMs, toMs }: Recorded,
  onFailure: (error: unknown) => void,
): Promise<Engine> {
  const path = { camera };
  const query = range(fromMs, toMs);
  const playlist = await api.open('get', '/api/v1/cameras/{camera}/playback.m3u8', { path, query });
  const pieces = parsePlaylist(await playlist.text());
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
