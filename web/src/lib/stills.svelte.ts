// Stills while scrubbing: one request at a time, the latest wanted moment wins, nothing flickers.
import { urls } from './urls';

export class Stills {
  /** The newest still that is loaded; the one before stays until then. Empty where there is none. */
  url = $state('');
  #wanted: string | null = null;
  #isBusy = false;

  constructor(
    private readonly camera: string,
    private readonly width: number,
  ) {}

  /** Moments within one step share a still, so that the browser's cache can serve them. */
  show(ms: number, stepMs: number): void {
    const step = Math.max(1000, Math.round(stepMs / 1000) * 1000);
    this.#wanted = urls.still(this.camera, this.width, Math.floor(ms / step) * step);
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#wanted) {
      const url = this.#wanted;
      this.#wanted = null;
      if (url === this.url) continue;
      const image = new Image();
      image.src = url;
      // A moment without a still shows none: the last one would pass for it.
      const isThere = await image.decode().then(
        () => true,
        () => false,
      );
      this.url = isThere ? url : '';
    }
    this.#isBusy = false;
  }
}
