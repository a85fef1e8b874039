// How the box is, as every part of System sees it: asked for once, kept fresh by news and by asking now and then.
import { untrack } from 'svelte';
import { api } from './api';
import { notices } from './notices.svelte';
import { Resource } from './resource.svelte';
import type { Status } from './types';

const REFRESH_MS = 10_000;

class BoxStatus {
  readonly resource = new Resource<Status>(() => api.get('/api/v1/status'));

  /** The box is silent: what is shown of it is from before. */
  get isStale(): boolean {
    return this.resource.offline || notices.lostSinceMs !== null;
  }

  /** Keeps it fresh until the returned function is called. Call in an effect. */
  watch(): () => void {
    void untrack(this.resource.reload);
    // A camera that comes or goes changes the sentence at once.
    const stop = notices.listen(
      (notice) => notice.type !== 'event' && void this.resource.reload(),
      this.resource.reload,
    );
    const timer = setInterval(() => {
      if (!document.hidden) void this.resource.reload();
    }, REFRESH_MS);
    return () => {
      stop();
      clearInterval(timer);
    };
  }
}

export const boxStatus = new BoxStatus();
