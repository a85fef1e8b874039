// Dark, light, or as the system says; and how many columns the live grid has.
import { Stored } from './stored.svelte';

export type Theme = 'system' | 'light' | 'dark';
export type Columns = 'fit' | 1 | 2 | 3;

class Appearance {
  #theme = new Stored<Theme>('theme', 'system');
  #columns = new Stored<Columns>('columns', 'fit');

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

  apply(): void {
    const root = document.documentElement;
    if (this.theme === 'system') delete root.dataset.theme;
    else root.dataset.theme = this.theme;
  }
}

export const appearance = new Appearance();
