// The form of profiles and schedules while it is open: loaded, changed, saved whole or not at all.
import { ApiError, api, words as failure } from './api';
import { words } from './en-modes';
import { modes } from './modes.svelte';
import {
  type ProfileDraft,
  type ScheduleDraft,
  type Stored,
  type Theirs,
  NO_THEIRS,
  isEmptySpan,
  isIdle,
  joined,
  patchOf,
  profilesOf,
  schedulesOf,
} from './modes-form';

export class ModesForm {
  profiles = $state<ProfileDraft[]>([]);
  schedules = $state<ScheduleDraft[]>([]);
  isLoaded = $state(false);
  /** Why it cannot be loaded. */
  error = $state('');
  /** Why it was not saved. */
  refused = $state('');
  saving = $state(false);
  wasSaved = $state(false);
  /** Somebody else changed something while this was open. */
  wasOvertaken = $state(false);
  /** What they made of what is changed here, too. */
  theirs = $state.raw<Theirs>(NO_THEIRS);
  #stored = $state.raw<Stored>({});
  #tag = '';

  readonly isDirty = $derived(Object.keys(patchOf(this.#stored, this.profiles, this.schedules)).length > 0);

  load = async (): Promise<void> => {
    try {
      await this.#read();
      this.profiles = profilesOf(this.#stored);
      this.schedules = schedulesOf(this.#stored);
      this.isLoaded = true;
      this.#settle();
      this.error = '';
    } catch (problem) {
      this.error = failure(problem);
    }
  };

  /** What somebody else made of a profile meanwhile is right. */
  takeProfile(id: string): void {
    const { [id]: change, ...profiles } = this.theirs.profiles;
    if (change === undefined) return;
    const profile = this.profiles.find((one) => one.id === id);
    if (change === null) this.profiles = this.profiles.filter((one) => one.id !== id);
    else if (profile) {
      if (change.name !== undefined) profile.name = change.name;
      profile.cameras = { ...profile.cameras, ...change.cameras };
    }
    this.#settle({ ...this.theirs, profiles });
  }

  /** What somebody else made of the schedules meanwhile is right. */
  takeSchedules = (): void => {
    if (this.theirs.schedules) this.schedules = this.theirs.schedules;
    this.#settle({ ...this.theirs, schedules: null });
  };

  save = async (): Promise<void> => {
    this.wasSaved = false;
    this.refused = this.#problem();
    if (this.refused) return;
    this.saving = true;
    try {
      const body = patchOf(this.#stored, $state.snapshot(this.profiles), $state.snapshot(this.schedules));
      await api.patch('/api/v1/settings', { body, headers: { 'If-Match': this.#tag } });
      await this.load();
      // What may be chosen above the cameras.
      void modes.resource.reload();
      this.wasSaved = true;
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 412) await this.#overtaken();
      else this.refused = failure(problem);
    }
    this.saving = false;
  };

  async #read(): Promise<void> {
    const response = await api.open('get', '/api/v1/settings');
    this.#tag = response.headers.get('ETag') ?? '*';
    this.#stored = (await response.json()) as Stored;
  }

  #settle(theirs: Theirs = NO_THEIRS): void {
    this.theirs = theirs;
    this.wasOvertaken &&= this.isDirty && theirs !== NO_THEIRS;
    this.refused = '';
  }

  /** Somebody else was faster: what they made of it is loaded, and what was changed here is kept beside it. */
  async #overtaken(): Promise<void> {
    const before = this.#stored;
    try {
      await this.#read();
    } catch (problem) {
      this.refused = failure(problem);
      return;
    }
    const mine = { profiles: $state.snapshot(this.profiles), schedules: $state.snapshot(this.schedules) };
    const { profiles, schedules, theirs } = joined(before, mine, this.#stored);
    this.profiles = profiles;
    this.schedules = schedules;
    this.wasOvertaken = this.isDirty;
    this.theirs = theirs;
  }

  #problem(): string {
    const t = words.page;
    if (this.profiles.some((profile) => profile.name.trim() === '')) return t.needsName;
    if (this.schedules.some((schedule) => !schedule.from || !schedule.to)) return t.needsTimes;
    if (this.schedules.some(isEmptySpan)) return t.sameTimes;
    return this.schedules.some(isIdle) ? t.needsSomething : '';
  }
}
