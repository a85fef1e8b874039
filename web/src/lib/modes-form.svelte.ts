// The form of profiles and schedules while it is open: loaded, changed, saved whole or not at all.
import { ApiError, api, words as failure } from './api';
import { words } from './en-modes';
import { modes } from './modes.svelte';
import {
  type ProfileDraft,
  type ScheduleDraft,
  type Stored,
  isEmptySpan,
  isIdle,
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
  /** Somebody else changed the settings meanwhile. */
  isStale = $state(false);
  #stored = $state.raw<Stored>({});
  #tag = '';

  readonly isDirty = $derived(Object.keys(patchOf(this.#stored, this.profiles, this.schedules)).length > 0);

  load = async (): Promise<void> => {
    try {
      const response = await api.open('get', '/api/v1/settings');
      this.#tag = response.headers.get('ETag') ?? '*';
      this.#stored = (await response.json()) as Stored;
      this.profiles = profilesOf(this.#stored);
      this.schedules = schedulesOf(this.#stored);
      this.isLoaded = true;
      this.isStale = false;
      this.error = '';
      this.refused = '';
    } catch (problem) {
      this.error = failure(problem);
    }
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
      this.isStale = problem instanceof ApiError && problem.status === 412;
      this.refused = this.isStale ? words.page.changedMeanwhile : failure(problem);
    }
    this.saving = false;
  };

  #problem(): string {
    const t = words.page;
    if (this.profiles.some((profile) => profile.name.trim() === '')) return t.needsName;
    if (this.schedules.some((schedule) => !schedule.from || !schedule.to)) return t.needsTimes;
    if (this.schedules.some(isEmptySpan)) return t.sameTimes;
    return this.schedules.some(isIdle) ? t.needsSomething : '';
  }
}
