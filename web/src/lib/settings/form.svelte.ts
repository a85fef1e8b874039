// A form of settings: what the box says, what is changed of it here, what the box would make of that, and the way back.
import { ApiError, sentence, words } from '../api';
import { type Clock, browserClock } from '../clock';
import { words as t } from '../en-settings';
import type { Setting } from '../types';
import { type Scale, scaleOf, shown, told, understood } from './fields';
import { type Done, type SettingsPorts, box } from './ports';
import { type Refused, refused } from './refused';
import { type Tree, cameraIn, patchOf, same, valueAt } from './tree';

/** After so long without a key the box is asked what a change would do. */
const PAUSE_MS = 400;
const OF_CAMERA = 'camera[].';
const NOTHING: Refused = { fields: new Map(), rest: [], mayTryAgain: true };

/** A change that is not saved yet. */
interface Change {
  value: unknown;
  /** What stands in the input, where that is text. */
  text: string;
  /** Why it cannot be sent; empty when it can. */
  problem: string;
}

/** Everything that the markup shows of one setting. */
export interface Field {
  key: string;
  setting: Setting;
  scale: Scale;
  /** As it is in the form. */
  value: unknown;
  text: string;
  isChanged: boolean;
  /** Why nothing can be typed; empty when something can. */
  lock: string;
  problem: string;
  /** What somebody else made of it meanwhile; empty when nobody did. */
  theirs: string;
  /** What it is where nothing is said, for people; empty where it is that, or where there is none to go back to. */
  usual: string;
}

export class SettingsForm {
  /** Null until it is loaded. */
  values = $state.raw<Tree | null>(null);
  locked = $state('');
  /** Why it cannot be loaded. */
  error = $state('');
  /** What the box would do, once it was asked. */
  outlook = $state.raw<Done | null>(null);
  refused = $state.raw<Refused>(NOTHING);
  /** The box is asked, or changes. */
  asking = $state(false);
  saving = $state(false);
  /** What was done last: saved, with the version before it, or taken back. */
  done = $state.raw<{ words: string; undo: number | null } | null>(null);
  /** The camera is not there, or not any more. */
  isGone = $state(false);
  /** Somebody else changed something while this was open. */
  wasOvertaken = $state(false);

  #settings = $state.raw<ReadonlyMap<string, Setting>>(new Map());
  #scales: ReadonlyMap<string, Scale> = new Map();
  #changes = $state.raw<ReadonlyMap<string, Change>>(new Map());
  #theirs = $state.raw<ReadonlyMap<string, unknown>>(new Map());
  #tag = '';
  #place: number | null = null;
  #turn = 0;
  #cancel: () => void = () => {};

  /** The settings of the box, or of one camera. */
  constructor(
    private readonly camera: string | null,
    private readonly ports: SettingsPorts = box,
    private readonly clock: Clock = browserClock,
  ) {}

  get isDirty(): boolean {
    return this.#changes.size > 0;
  }

  get canSave(): boolean {
    return this.#isRight && !this.saving;
  }

  /** Nothing is known to be wrong with what is changed. */
  get #isRight(): boolean {
    const isWrong = [...this.#changes.values()].some((change) => change.problem !== '');
    return this.isDirty && !isWrong && this.refused.mayTryAgain && !this.locked;
  }

  load = async (): Promise<void> => {
    try {
      const [schema] = await Promise.all([this.ports.schema(), this.#read()]);
      const ours = schema.settings
        .filter((setting) => setting.key.startsWith(OF_CAMERA) === (this.camera !== null))
        .map(
          (setting) =>
            [this.camera === null ? setting.key : setting.key.slice(OF_CAMERA.length), setting] as const,
        );
      this.#settings = new Map(ours);
      this.#scales = new Map(
        ours.map(([key, setting]) => [key, scaleOf(setting, valueAt(this.values ?? {}, key))]),
      );
      this.locked = schema.locked ?? '';
      this.error = '';
    } catch (problem) {
      this.error = words(problem);
    }
  };

  /** Ends what is still to come. */
  close(): void {
    this.#turn += 1;
    this.#cancel();
  }

  /** Nothing where the box does not know the key. */
  field(key: string): Field | null {
    const setting = this.#settings.get(key);
    if (!setting || !this.values) return null;
    const scale = this.#scales.get(key) ?? scaleOf(setting, null);
    const now = valueAt(this.values, key);
    const change = this.#changes.get(key);
    const value = change ? (change.value ?? setting.default ?? null) : now;
    const lock = this.locked || (setting.set_by ? t.setBy(setting.set_by) : '');
    const isUsual = same(value, setting.default ?? null) || key === 'name';
    return {
      key,
      setting,
      scale,
      value,
      text: change ? change.text : shown(now, scale),
      isChanged: change !== undefined,
      lock,
      problem: change?.problem || (this.refused.fields.get(key) ?? ''),
      theirs: this.#theirs.has(key) ? told(setting, this.#theirs.get(key), scale) : '',
      usual: isUsual || lock ? '' : told(setting, setting.default ?? null, scaleOf(setting, setting.default)),
    };
  }

  /** What stands at a key that the schema does not list, as it is in the form; null: nothing is said. */
  current(key: string): unknown {
    const change = this.#changes.get(key);
    return change ? change.value : this.saved(key);
  }

  /** What the box has, whatever was changed here. */
  saved(key: string): unknown {
    return valueAt(this.values ?? {}, key);
  }

  /** What somebody types. */
  type(key: string, text: string): void {
    const field = this.field(key);
    if (!field) return;
    const meant = understood(field.setting, text, field.scale);
    if ('problem' in meant) this.#change(key, { value: null, text, problem: meant.problem });
    else if (text.trim() === shown(valueAt(this.values!, key), field.scale)) this.#change(key, null);
    else this.#change(key, { value: meant.value, text, problem: '' });
  }

  /** What somebody chooses; null is the way back to the default. */
  set(key: string, value: unknown): void {
    const field = this.field(key);
    const is = valueAt(this.values ?? {}, key);
    const meant = value ?? field?.setting.default ?? null;
    if (same(meant, is)) return this.#change(key, null);
    this.#change(key, { value, text: field ? shown(meant, field.scale) : '', problem: '' });
  }

  /** What somebody else made of it meanwhile is right. */
  keepTheirs(key: string): void {
    this.#change(key, null);
  }

  discard = (): void => {
    this.#changes = new Map();
    this.#changed();
  };

  save = async (): Promise<void> => {
    if (!this.canSave) return;
    this.#cancel();
    this.#turn += 1;
    this.asking = false;
    this.saving = true;
    try {
      const done = await this.ports.change(this.camera, this.#patch(), this.#tag, false);
      const undo = await this.#before();
      await this.#read();
      this.#settle();
      this.#tag = done.tag;
      const waits = done.waits_for_start.length > 0;
      const saved = waits ? t.savedForStart : t.saved;
      const behind = done.not_followed.map(sentence);
      this.done = { words: behind.length > 0 ? t.notFollowed(behind) : saved, undo };
    } catch (problem) {
      await this.#failed(problem);
    } finally {
      this.saving = false;
    }
  };

  /** Takes the last change back, where nobody changed anything since. */
  undo = async (): Promise<void> => {
    const number = this.done?.undo;
    if (number === null || number === undefined) return;
    this.saving = true;
    try {
      await this.ports.restore(number, this.#tag);
      await this.#read();
      this.#settle();
      this.done = { words: t.undone, undo: null };
    } catch (problem) {
      const isStale = problem instanceof ApiError && problem.status === 412;
      this.done = { words: isStale ? t.undoStale : words(problem), undo: null };
      await this.#read().catch(() => {});
    } finally {
      this.saving = false;
    }
  };

  /** The version before the one that was just made; null where none was kept. */
  async #before(): Promise<number | null> {
    const versions = await this.ports.versions().catch(() => []);
    return versions[1]?.number ?? null;
  }

  async #read(): Promise<void> {
    const { values, tag } = await this.ports.read();
    this.#tag = tag;
    if (this.camera === null) {
      this.values = values;
      return;
    }
    const found = cameraIn(values, this.camera);
    this.isGone = found === null;
    this.#place = found?.at ?? null;
    if (found) this.values = found.values;
  }

  #patch(): Tree {
    return patchOf([...this.#changes].map(([key, change]) => [key, change.value] as const));
  }

  #change(key: string, change: Change | null): void {
    const changes = new Map(this.#changes);
    if (change) changes.set(key, change);
    else changes.delete(key);
    this.#changes = changes;
    this.#changed();
  }

  #changed(): void {
    this.done = null;
    this.refused = NOTHING;
    this.outlook = null;
    this.#turn += 1;
    this.#cancel();
    this.asking = false;
    const theirs = [...this.#theirs].filter(([key]) => this.#changes.has(key));
    this.#theirs = new Map(theirs);
    if (!this.isDirty) this.wasOvertaken = false;
    else this.#askSoon();
  }

  #askSoon(): void {
    if (this.#isRight) this.#cancel = this.clock.after(PAUSE_MS, () => void this.#ask(this.#turn));
  }

  async #ask(turn: number): Promise<void> {
    this.asking = true;
    try {
      const outlook = await this.ports.change(this.camera, this.#patch(), this.#tag, true);
      if (turn === this.#turn) this.outlook = outlook;
    } catch (problem) {
      if (turn === this.#turn) await this.#failed(problem);
    } finally {
      if (turn === this.#turn) this.asking = false;
    }
  }

  #settle(): void {
    this.#changes = new Map();
    this.#theirs = new Map();
    this.outlook = null;
    this.refused = NOTHING;
    this.wasOvertaken = false;
  }

  async #failed(problem: unknown): Promise<void> {
    if (problem instanceof ApiError && problem.status === 412) await this.#overtaken();
    else this.refused = refused(problem, this.#place, new Set([...this.#settings.keys(), 'password']));
  }

  /** Somebody else was faster: what they made of it is loaded, and what was changed here is kept beside it. */
  async #overtaken(): Promise<void> {
    const before = this.values ?? {};
    try {
      await this.#read();
    } catch (problem) {
      this.refused = { ...NOTHING, rest: [words(problem)] };
      return;
    }
    const now = this.values ?? {};
    const isSame = ([key, change]: readonly [string, Change]) => same(change.value, valueAt(now, key));
    this.#changes = new Map([...this.#changes].filter((entry) => !isSame(entry)));
    const theirs = [...this.#changes.keys()].filter((key) => !same(valueAt(before, key), valueAt(now, key)));
    this.#theirs = new Map(theirs.map((key) => [key, valueAt(now, key)]));
    this.outlook = null;
    this.wasOvertaken = this.isDirty;
    this.#askSoon();
  }
}
