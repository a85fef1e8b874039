// Who may come in, and who is watching: asked for together, so that a page shows all of it at once and nothing moves.
import { api } from './api';
import { Resource } from './resource.svelte';

export class People {
  readonly users = new Resource(async () => (await api.get('/api/v1/users')).users);
  readonly devices = new Resource(async () => (await api.get('/api/v1/devices')).devices);
  readonly streamPasswords = new Resource(
    async () => (await api.get('/api/v1/stream-passwords')).stream_passwords,
  );
  readonly watching = new Resource(async () => {
    const { sessions, over_https, readers = [], cut_off = [] } = await api.get('/api/v1/live');
    return { sessions, over_https, readers, cut_off };
  });
  readonly #all = [this.users, this.devices, this.streamPasswords, this.watching];

  /** Each was answered, or failed in words. */
  get isSettled(): boolean {
    return this.#all.every(({ data, error }) => data !== null || error !== '');
  }

  reload = async (): Promise<void> => {
    await Promise.all(this.#all.map((resource) => resource.reload()));
  };

  /** Who may come in; after a change of it. */
  reloadAccess = async (): Promise<void> => {
    await Promise.all([this.users.reload(), this.devices.reload(), this.watching.reload()]);
  };
}
