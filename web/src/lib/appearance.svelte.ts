// Dark, light, or as the system says; how times are written; how many columns the live grid has, and which of its cameras are shown.
import { Stored } from './stored.svelte';
import { type Hours, writeTimes } from './time';
import { isZone } from './zone';

export type Theme = 'system' | 'light' | 'dark';
/** By which clock times are written: that of whoever looks, or of the box. */
export type Zone = 'here' | 'box';
export type Columns = 'fit' | 1 | 2 | 3;

class Appearance {
  #theme = new Stored<Theme>('theme', 'system');
  #columns = new Stored<Columns>('columns', 'fit');
  #room = new Stored<string>('room', '');
  #hours = new Stored<Hours>('hours', 'auto');
  #zone = new Stored<Zone>('zone', 'here');
  #boxZone = new Stored<string>('box-zone', '');
  #onlyFavourites = new Stored<boolean>('favourites', false);

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

  /** Favourites are shown live alone. */
  get onlyFavourites(): boolean {
    return this.#onlyFavourites.value;
  }
  set onlyFavourites(only: boolean) {
    this.#onlyFavourites.value = only;
  }

  get zone(): Zone {
    return this.#zone.value;
  }
  set zone(zone: Zone) {
    this.#zone.value = zone;
    this.apply();
  }

  /** The box's time zone, remembered so that the first times are right already; empty where it is not known. */
  get boxZone(): string {
    return this.#boxZone.value;
  }
  set boxZone(name: string) {
    if (name === this.boxZone || !isZone(name)) return;
    this.#boxZone.value = name;
    this.apply();
  }

  /** What times are written by now. */
  get times(): string {
    return `${this.hours} ${this.zone === 'box' ? this.boxZone : ''}`;
  }

  apply(): void {
    writeTimes({ hours: this.hours, zone: this.zone === 'box' ? this.boxZone : '' });
    const root = document.documentElement;
    if (this.theme === 'system') delete root.dataset.theme;
    else root.dataset.theme = this.theme;
  }
}

export const appearance = new Appearance();
