// What the settings pages ask of the box.
import { api } from '../api';
import type {
  Found,
  FoundStreams,
  Kept,
  Probed,
  SettingsChanged,
  SettingsSchema,
  SettingsText,
  SettingsVersion,
  SourceControls,
  StreamsRequest,
} from '../types';
import type { Tree } from './tree';

export interface Done extends SettingsChanged {
  /** Names the settings as they are after it. */
  tag: string;
}

export interface SettingsPorts {
  read(): Promise<{ values: Tree; tag: string }>;
  schema(): Promise<SettingsSchema>;
  /** Changes the box, or one camera; only asks what that would do when `dryRun`. */
  change(camera: string | null, patch: Tree, tag: string, dryRun: boolean): Promise<Done>;
  addCamera(camera: Tree): Promise<Done>;
  /** What adding it would do. */
  wouldAdd(camera: Tree): Promise<Done>;
  removeCamera(camera: string, recordings?: 'keep' | 'delete'): Promise<Done>;
  /** The picture settings that a camera itself has. */
  controls(camera: string, signal: AbortSignal): Promise<SourceControls>;
  /** What is kept of each camera. */
  kept(): Promise<Kept[]>;
  versions(): Promise<SettingsVersion[]>;
  version(number: number): Promise<SettingsText>;
  /** Takes a version back; with a tag only where nothing changed since. */
  restore(number: number, tag?: string): Promise<Done>;
}

async function done(response: Response): Promise<Done> {
  return { ...((await response.json()) as SettingsChanged), tag: response.headers.get('ETag') ?? '*' };
}

export const box: SettingsPorts = {
  async read() {
    const response = await api.open('get', '/api/v1/settings');
    return { values: (await response.json()) as Tree, tag: response.headers.get('ETag') ?? '*' };
  },
  schema: () => api.get('/api/v1/settings/schema'),
  async change(camera, patch, tag, dryRun) {
    const query = { dry_run: dryRun ? ('true' as const) : undefined };
    const more = { query, headers: { 'If-Match': tag }, body: patch };
    return done(
      await (camera === null
        ? api.open('patch', '/api/v1/settings', more)
        : api.open('patch', '/api/v1/cameras/{camera}', { path: { camera }, ...more })),
    );
  },
  addCamera: async (camera) => done(await api.open('post', '/api/v1/cameras', { body: camera })),
  wouldAdd: async (camera) =>
    done(await api.open('post', '/api/v1/cameras', { query: { dry_run: 'true' }, body: camera })),
  removeCamera: async (camera, recordings = 'keep') =>
    done(await api.open('delete', '/api/v1/cameras/{camera}', { path: { camera }, query: { recordings } })),
  controls: (camera, signal) => api.get('/api/v1/cameras/{camera}/controls', { path: { camera }, signal }),
  kept: async () => (await api.get('/api/v1/recordings')).cameras,
  versions: async () => (await api.get('/api/v1/settings/versions')).versions,
  version: (number) => api.get('/api/v1/settings/versions/{version}', { path: { version: String(number) } }),
  restore: async (number, tag) =>
    done(
      await api.open('post', '/api/v1/settings/versions/{version}/restore', {
        path: { version: String(number) },
        ...(tag && { headers: { 'If-Match': tag } }),
      }),
    ),
};

/** Cameras before they are the box's. Who aborts ends it on the box, too. */
export interface FinderPorts {
  /** What is plugged in and answers; RTSP also at these addresses. */
  discover(addresses: string, signal: AbortSignal): Promise<Found>;
  streams(device: StreamsRequest, signal: AbortSignal): Promise<FoundStreams>;
  probe(camera: Tree, signal: AbortSignal): Promise<Probed>;
}

export const finder: FinderPorts = {
  discover: (addresses, signal) =>
    api.get('/api/v1/discovery', { query: { addresses: addresses || undefined }, signal }),
  streams: (body, signal) => api.post('/api/v1/discovery/streams', { body, signal }),
  probe: (body, signal) => api.post('/api/v1/cameras/probe', { body, signal }),
};
