// A choice of this browser that outlives the page, in localStorage where there is one.

export class Stored<T> {
  #value: T = $state()!;
  #key: string;

  constructor(key: string, fallback: T) {
    this.#key = `perch.${key}`;
    this.#value = fallback;
    try {
      const text = localStorage.getItem(this.#key);
      if (text !== null) this.#value = JSON.parse(text) as T;
    } catch {
      // Storage is forbidden or holds something else: the fallback stands.
    }
  }

  get value(): T {
    return this.#value;
  }

  set value(value: T) {
    this.#value = value;
    try {
      localStorage.setItem(this.#key, JSON.stringify(value));
    } catch {
      // Kept for this page only.
    }
  }
}
