// Stills while scrubbing: one request at a time, the latest wanted moment wins, nothing flickers.
import { urls } from './urls';

/** Loads an image into the browser's cache; false when there is none. */
export type LoadImage = (url: string) => Promise<boolean>;

export const loadImage: LoadImage = (url) => {
  const image = new Image();
  image.src = url;
  return image.decode().then(
    () => true,
    () => false,
  );
};

export class Stills {
  /** The newest still that is loaded; the one before stays until then. Empty where there is none. */
  url = $state('');
  /** There is no picture of the moment: then none is shown, as the last one would pass for it. */
  isNone = $state(false);
  #wanted: string | null = null;
  #isBusy = false;

  constructor(
    private readonly camera: string,
    private readonly width: number,
    private readonly load: LoadImage = loadImage,
  ) {}

  /** Moments within one step of a recording that begins at `fromMs` share a still, so that the browser's cache can serve them. */
  show(ms: number, stepMs: number, fromMs: number): void {
    const step = Math.max(1000, Math.round(stepMs / 1000) * 1000);
    const atMs = Math.max(fromMs, Math.floor(ms / step) * step);
    this.#wanted = urls.still(this.camera, this.width, atMs);
    void this.#work();
  }

  /** Nothing was recorded at the moment. */
  showNone(): void {
    this.#wanted = '';
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#wanted !== null) {
      const url = this.#wanted;
      this.#wanted = null;
      if (url === '') {
        this.url = '';
        this.isNone = true;
        continue;
      }
      if (url === this.url) continue;
      const isThere = await this.load(url);
      this.url = isThere ? url : '';
      this.isNone = !isThere;
    }
    this.#isBusy = false;
  }
}
