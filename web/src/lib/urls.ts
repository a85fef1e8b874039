// Addresses of a camera's pictures and recordings. Moments are milliseconds since the epoch.
import { withQuery } from './api';

const camera = (id: string) => `/api/v1/cameras/${encodeURIComponent(id)}`;
const utc = (ms: number) => new Date(ms).toISOString();

export const urls = {
  camera,
  whep: (id: string, stream: string) => withQuery(`${camera(id)}/whep`, { stream }),
  still: (id: string, width: number, atMs?: number) =>
    withQuery(`${camera(id)}/snapshot.jpg`, { at: atMs === undefined ? null : utc(atMs), width }),
  snapshot: (id: string, atMs?: number) =>
    withQuery(`${camera(id)}/snapshot.jpg`, { at: atMs === undefined ? null : utc(atMs) }),
  timeline: (id: string, fromMs: number, toMs: number) =>
    withQuery(`${camera(id)}/timeline`, { from: utc(fromMs), to: utc(toMs) }),
  playback: (id: string, fromMs: number, toMs: number) =>
    withQuery(`${camera(id)}/playback.m3u8`, { from: utc(fromMs), to: utc(toMs) }),
  export: (id: string, fromMs: number, toMs: number) =>
    withQuery(`${camera(id)}/export.mp4`, { from: utc(fromMs), to: utc(toMs) }),
  thumbnail: (event: number) => `/api/v1/events/${event}/thumbnail.jpg`,
  pin: (event: number) => `/api/v1/events/${event}/pin`,
};
