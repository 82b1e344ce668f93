import { Directory } from '@kata-agent/linux';
import type { Storage } from '../actions.js';
import { UndoStack } from '../container/undo-stack.js';
import { GuestError } from '../guest-error.js';
import { ephemeral } from './ephemeral.js';
import { resizeMemory } from './resize-memory.js';
import { storageDriver } from './storage-drivers.js';
import type { StorageEnvironment, StorageOwner } from './storage-driver.js';

interface Entry {
  readonly made: UndoStack;
  users: number;
  /** Goes with the sandbox, however many containers use it. */
  kept: boolean;
}

/**
 * The storages that are in place, by mount point. A second container that names the same one uses it too; the last user
 * takes it down, unless it is shared or a pod's own data.
 */
export class StorageTable {
  readonly #environment: StorageEnvironment;
  readonly #entries: Map<string, Entry> = new Map();

  constructor(environment: StorageEnvironment) {
    this.#environment = environment;
  }

  /** Puts a storage in place, or fails and leaves nothing. Its release is pushed to `made`. */
  async add(storage: Storage, owner: StorageOwner, made: UndoStack): Promise<void> {
    const { mountPoint } = storage;
    const place = this.#placeOf(mountPoint);
    const entry = this.#entries.get(place) ?? (await this.#prepare(storage, owner, place));
    entry.users += 1;
    this.#entries.set(place, entry);
    made.push(`storage at ${mountPoint}`, () => this.#release(place, entry));
  }

  /** The container that uses them was made: from now on, those that are to outlive it do. */
  keep(storages: readonly Storage[], bundle: string): void {
    for (const storage of storages) {
      const entry = this.#entries.get(this.#placeOf(storage.mountPoint));
      const inBundle = storage.mountPoint.startsWith(`${bundle}/`);
      if (entry !== undefined)
        entry.kept ||= storage.shared || (storageDriver(storage.driver).ofPod && !inBundle);
    }
  }

  /** Gives memory file systems that are in place other sizes. All are looked up before the first is changed. */
  resizeMemory(storages: readonly Storage[]): void {
    const places = storages.map((storage) => {
      if (storage.driver !== ephemeral.name)
        throw new GuestError(
          'invalid',
          `only ${ephemeral.name} storages can be updated, not ${storage.driver}`,
        );
      const place = this.#placeOf(storage.mountPoint);
      if (!this.#entries.has(place))
        throw new GuestError('not-found', `there is no storage at ${storage.mountPoint}`);
      return place;
    });
    storages.forEach((storage, index) => resizeMemory(storage, places[index] ?? '', this.#environment));
  }

  /** The sandbox ends: so do those that were kept for it. */
  async clear(): Promise<readonly Error[]> {
    const failures: Error[] = [];
    for (const [place, { made }] of [...this.#entries].reverse()) {
      failures.push(...(await made.unwind()));
      this.#entries.delete(place);
    }
    return failures;
  }

  async #prepare(storage: Storage, owner: StorageOwner, place: string): Promise<Entry> {
    const driver = storageDriver(storage.driver);
    const made = new UndoStack();
    const { syscalls, paths } = this.#environment;
    const base = Directory.open(syscalls, paths.kata);
    try {
      await driver.prepare(storage, {
        ...this.#environment,
        need: (other) => this.add(other, owner, made),
        owner,
        base,
        place,
        made,
      });
    } catch (error) {
      await made.unwind();
      throw error;
    } finally {
      base.close();
    }
    return { made, users: 0, kept: false };
  }

  async #release(place: string, entry: Entry): Promise<void> {
    entry.users -= 1;
    if (entry.users > 0 || entry.kept) return;
    this.#entries.delete(place);
    const [failure] = await entry.made.unwind();
    if (failure !== undefined) throw failure;
  }

  /** Mount points are Kata's: below its directory, and not the directory itself (S10). */
  #placeOf(mountPoint: string): string {
    const base = `${this.#environment.paths.kata}/`;
    if (!mountPoint.startsWith(base)) {
      throw new GuestError(
        'refused',
        `mount point ${JSON.stringify(mountPoint)} of a storage is not below ${base}`,
      );
    }
    return mountPoint
      .slice(base.length)
      .split('/')
      .filter((name) => name !== '')
      .join('/');
  }
}
