// Addresses of a camera's pictures and recordings. Moments are milliseconds since the epoch.
import { url } from './contract';
import type { StreamChoice } from './types';

const utc = (ms: number) => new Date(ms).toISOString();
const at = (ms: number | undefined) => (ms === undefined ? undefined : utc(ms));
/** The ends of a stretch of time, as the box reads them. */
export const range = (fromMs: number, toMs: number) => ({ from: utc(fromMs), to: utc(toMs) });

export const urls = {
  still: (camera: string, width: number, atMs?: number) =>
    url('/api/v1/cameras/{camera}/snapshot.jpg', {
      path: { camera },
      // One of now may be lost in this very moment: that is no error in the console.
      query: { at: at(atMs), width, or_none: atMs === undefined ? 'true' : undefined },
    }),
  snapshot: (camera: string, atMs?: number) =>
    url('/api/v1/cameras/{camera}/snapshot.jpg', { path: { camera }, query: { at: at(atMs) } }),
  playback: (camera: string, fromMs: number, toMs: number) =>
    url('/api/v1/cameras/{camera}/playback.m3u8', { path: { camera }, query: range(fromMs, toMs) }),
  live: (camera: string, stream: StreamChoice) =>
    url('/api/v1/cameras/{camera}/live.m3u8', { path: { camera }, query: { stream } }),
  export: (camera: string, fromMs: number, toMs: number) =>
    url('/api/v1/cameras/{camera}/export.mp4', { path: { camera }, query: range(fromMs, toMs) }),
  announcement: (id: string) =>
    url('/api/v1/announcements/{announcement}/sound.wav', { path: { announcement: id } }),
  thumbnail: (event: number) => url('/api/v1/events/{event}/thumbnail.jpg', { path: { event } }),
};
