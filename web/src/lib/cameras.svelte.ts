// The cameras as every page sees them, kept fresh by notices and by asking now and then.
import { api } from './api';
import { t } from './en';
import { type Running, afterNews, runningOf } from './motion-now';
import { notices } from './notices.svelte';
import { Resource } from './resource.svelte';
import { session } from './session.svelte';
import { toMs } from './time';
import type { CameraInfo, Notice, PerchEvent } from './types';

const REFRESH_MS = 30_000;
/** Enough of the newest events to hold what runs at every camera. */
const NEWEST = 30;

class Cameras {
  #running = $state.raw<Running>(new Map());
  /** News that came while the newest events were asked for: the answer may not hold them yet. */
  #meanwhile: PerchEvent[] = [];

  resource = new Resource<CameraInfo[]>(async () => {
    this.#meanwhile = [];
    const [{ cameras }, newest] = await Promise.all([
      api.get('/api/v1/cameras'),
      // Cameras are shown without it: the events page says what is wrong. Whoever may not look back is told of none.
      session.may('look_back')
        ? api.get('/api/v1/events', { query: { limit: NEWEST } }).catch(() => null)
        : null,
    ]);
    if (newest) this.#running = this.#meanwhile.reduce(afterNews, runningOf(newest.events));
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

  /** What a page about it is called: nothing is said of one that nobody knows, and its id is no name. */
  title(id: string): string {
    return this.find(id)?.name ?? (this.resource.data ? t.camera.none : t.live.loading);
  }

  /** Whether it is known that there is no such camera, or none that this device may see. */
  isUnknown(id: string): boolean {
    return this.resource.data !== null && !this.find(id);
  }

  /** The event that goes on before this camera, if one does. */
  running(id: string): PerchEvent | undefined {
    // Of a box that is silent nothing is known now.
    return notices.lostSinceMs === null ? this.#running.get(id) : undefined;
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
    if (notice.type === 'event') {
      this.#meanwhile.push(notice.event);
      this.#running = afterNews(this.#running, notice.event);
    }
    if (notice.type === 'modes' || notice.type === 'talk') return;
    const id = notice.type === 'event' ? notice.event.camera : notice.camera;
    // With its first picture its size is known.
    if (notice.type === 'health' && notice.health.state === 'live' && this.find(id)?.width === null) {
      void this.resource.reload();
    }
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
