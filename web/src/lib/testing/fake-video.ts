// A video element for tests: it plays when asked to, and its time stands until a test moves it.

export class FakeVideo extends EventTarget {
  playbackRate = 1;
  muted = false;
  paused = true;
  ended = false;
  refusesSound = false;
  #time = 0;

  get currentTime(): number {
    return this.#time;
  }

  set currentTime(time: number) {
    this.#time = time;
    queueMicrotask(() => this.dispatchEvent(new Event('seeked')));
  }

  async play(): Promise<void> {
    if (this.refusesSound && !this.muted) throw new DOMException('', 'NotAllowedError');
    this.paused = false;
    this.dispatchEvent(new Event('playing'));
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.dispatchEvent(new Event('pause'));
  }
}
