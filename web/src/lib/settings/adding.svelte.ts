// The way of a new camera from a form to its picture, or back.
import { sentence, words } from '../api';
import {
  type CameraFields,
  NO_SOURCE,
  apart,
  cameraBody,
  cameraChange,
  cameraProblems,
  idOf,
} from './new-camera';
import { type SettingsPorts, box } from './ports';
import { refused } from './refused';
import type { Tree } from './tree';

const KEYS = new Set(['id', 'name', 'room', 'source', 'password', 'record.mode', 'audio.source']);
const EMPTY: CameraFields = { ...NO_SOURCE, name: '', room: '', id: '', record: 'continuous', sound: '' };

export interface AddingPorts extends Pick<
  SettingsPorts,
  'addCamera' | 'wouldAdd' | 'change' | 'removeCamera'
> {
  /** The short names of the cameras that there are. */
  taken: () => string[];
  /** The list of cameras is another. */
  changed: () => Promise<void>;
}

export class Adding {
  fields = $state.raw<CameraFields>(EMPTY);
  problems = $state.raw<ReadonlyMap<string, string>>(new Map());
  /** What is wrong with no single field. */
  error = $state('');
  /** What adding it would do besides; whoever sends the form once more means that. */
  warning = $state('');
  busy = $state(false);
  /** The short name of the camera that was added; null before. */
  added = $state<string | null>(null);
  #hasOwnId = false;
  #warnedId = '';

  constructor(private readonly ports: AddingPorts) {}

  static inBrowser(more: Pick<AddingPorts, 'taken' | 'changed'>): Adding {
    return new Adding({ ...box, ...more });
  }

  edit(change: Partial<CameraFields>): void {
    const fields = { ...this.fields, ...change };
    if (change.id !== undefined) this.#hasOwnId = change.id !== '';
    if (change.name !== undefined && !this.#hasOwnId && this.added === null) {
      fields.id = change.name.trim() ? idOf(change.name, this.ports.taken()) : '';
    }
    this.fields = fields;
    this.error = '';
    if (fields.id !== this.#warnedId) this.warning = '';
    const changed = new Set(
      Object.keys(change).map((key) => (key === 'place' || key === 'kind' ? 'source' : key)),
    );
    this.problems = new Map([...this.problems].filter(([key]) => !changed.has(key)));
  }

  /** An address that was pasted with user and password. */
  sort(): void {
    this.fields = { ...this.fields, ...apart(this.fields) };
  }

  /** Adds the camera, or changes the one that was added; whether that was done. */
  send = async (): Promise<boolean> => {
    this.sort();
    const others = this.ports.taken().filter((id) => id !== this.added);
    this.problems = cameraProblems(this.fields, others);
    if (this.problems.size > 0) return false;
    this.busy = true;
    this.error = '';
    try {
      const camera = cameraBody(this.fields);
      if (this.added !== null) await this.ports.change(this.added, cameraChange(this.fields), '*', false);
      else if (await this.#warns(camera)) return false;
      else await this.ports.addCamera(camera);
      this.added = String(camera.id);
      this.warning = '';
      await this.ports.changed();
      return true;
    } catch (problem) {
      const { fields, rest } = refused(problem, this.#place(problem), KEYS);
      this.problems = fields;
      this.error = rest.join(' ');
      return false;
    } finally {
      this.busy = false;
    }
  };

  /** As if it never had been added. */
  takeBack = async (): Promise<void> => {
    if (this.added === null) return;
    this.busy = true;
    try {
      await this.ports.removeCamera(this.added);
      this.added = null;
      await this.ports.changed();
    } catch (problem) {
      this.error = words(problem);
    } finally {
      this.busy = false;
    }
  };

  another = (): void => {
    this.fields = EMPTY;
    this.problems = new Map();
    this.error = '';
    this.warning = '';
    this.added = null;
    this.#hasOwnId = false;
  };

  /** Whether adding it does more than that, which is said once for each short name. */
  async #warns(camera: Tree): Promise<boolean> {
    const id = String(camera.id);
    if (this.warning && this.#warnedId === id) return false;
    const { effects } = await this.ports.wouldAdd(camera);
    // The first is that it is added.
    this.warning = effects.slice(1).map(sentence).join(' ');
    this.#warnedId = id;
    return this.warning !== '';
  }

  /** A refusal names the new camera by its place, which is the last. */
  #place(problem: unknown): number {
    const places = [...String(problem).matchAll(/camera\[(\d+)\]/gi)].map(([, place]) => Number(place));
    return Math.max(0, ...places);
  }
}
