// In which order somebody's devices show the cameras, and their favourites: kept by the box with their account.
import { api, words } from './api';
import { session } from './session.svelte';
import type { CameraView } from './types';

const NONE: CameraView = { order: [], favourites: [] };

class Arranged {
  /** Why what was arranged last is not kept; empty where it is. */
  error = $state('');
  #next: CameraView | null = null;
  #isKeeping = false;

  get view(): CameraView {
    return session.me?.view ?? NONE;
  }

  /** Shows it at once, and has the box keep it; of several in a row the last. */
  set(view: CameraView): void {
    if (!session.me) return;
    session.me = { ...session.me, view };
    this.#next = view;
    void this.#keep();
  }

  async #keep(): Promise<void> {
    if (this.#isKeeping) return;
    this.#isKeeping = true;
    while (this.#next) {
      const body = this.#next;
      this.#next = null;
      try {
        await api.put('/api/v1/me/view', { body });
        this.error = '';
      } catch (problem) {
        this.error = words(problem);
      }
    }
    this.#isKeeping = false;
  }
}

export const arranged = new Arranged();
