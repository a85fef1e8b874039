// The cameras as every page sees them, kept fresh by notices and by asking now and then.
import { api } from './api';
import { notices } from './notices.svelte';
import { Resource } from './resource.svelte';
import { toMs } from './time';
import type { CameraInfo, Notice } from './types';

const REFRESH_MS = 30_000;

class Cameras {
  resource = new Resource<CameraInfo[]>(async () => {
    const { cameras } = await api.get('/api/v1/cameras');
    return cameras;
  });

  get list(): CameraInfo[] {
    return this.resource.data ?? [];
  }

  find(id: string): CameraInfo | undefined {
    return this.list.find((camera) => camera.id === id);
  }

  name(id: string): string {
    return this.find(id)?.name ?? id;
  }

  /** Starts keeping the list; the returned function ends it. */
  watch(): () => void {
    void this.resource.reload();
    const stop = notices.listen((notice) => this.#apply(notice), this.resource.reload);
    const timer = setInterval(() => {
      if (!document.hidden) void this.resource.reload();
    }, REFRESH_MS);
    return () => {
      stop();
      clearInterval(timer);
    };
  }

  #apply(notice: Notice): void {
    const id = notice.type === 'event' ? notice.event.camera : notice.camera;
    const change = (camera: CameraInfo): CameraInfo => {
      if (notice.type === 'health') return { ...camera, health: notice.health };
      if (notice.type === 'recording') return { ...camera, recording: notice.recording };
      const { start } = notice.event;
      const newer = !camera.last_event_at || toMs(start) > toMs(camera.last_event_at);
      return newer ? { ...camera, last_event_at: start } : camera;
    };
    this.resource.data = this.list.map((camera) => (camera.id === id ? change(camera) : camera));
  }
}

export const cameras = new Cameras();
