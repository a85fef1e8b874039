// Dark, light, or as the system says; how many columns the live grid has, and in which order its cameras stand.
import { Stored } from './stored.svelte';
import { type Hours, writeHours } from './time';

export type Theme = 'system' | 'light' | 'dark';
export type Columns = 'fit' | 1 | 2 | 3;

class Appearance {
  #theme = new Stored<Theme>('theme', 'system');
  #columns = new Stored<Columns>('columns', 'fit');
  #room = new Stored<string>('room', '');
  #hours = new Stored<Hours>('hours', 'auto');
  #order = new Stored<string[]>('cameras', []);

  get theme(): Theme {
    return this.#theme.value;
  }
  set theme(theme: Theme) {
    this.#theme.value = theme;
    this.apply();
  }

  get columns(): Columns {
    return this.#columns.value;
  }
  set columns(columns: Columns) {
    this.#columns.value = columns;
  }

  get hours(): Hours {
    return this.#hours.value;
  }
  set hours(hours: Hours) {
    this.#hours.value = hours;
    this.apply();
  }

  /** The room whose cameras alone are shown live; empty is all. */
  get room(): string {
    return this.#room.value;
  }
  set room(room: string) {
    this.#room.value = room;
  }

  get cameraOrder(): string[] {
    return this.#order.value;
  }
  set cameraOrder(ids: string[]) {
    this.#order.value = ids;
  }

  apply(): void {
    writeHours(this.hours);
    const root = document.documentElement;
    if (this.theme === 'system') delete root.dataset.theme;
    else root.dataset.theme = this.theme;
  }
}

export const appearance = new Appearance();
