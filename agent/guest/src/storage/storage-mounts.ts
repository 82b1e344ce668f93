import { Directory } from '@kata-agent/linux';
import type { Storage } from '../request/actions.js';
import { UndoStack } from '../undo-stack.js';
import type { OwnPlaces } from '../source/other-containers.js';
import { PlaceLocks } from './place-locks.js';
import { storageDriver } from './drivers/storage-drivers.js';
import type { StorageContext, StorageEnvironment, StorageOwner } from './drivers/storage-driver.js';
import { refuseOtherRequest } from './same-request.js';
import type { SavedStorage } from './saved-storage.js';
import { storageContext } from './storage-context.js';
import type { StorageEntries, StorageEntry } from './storage-entries.js';
import { rollBackStorage } from './roll-back-storage.js';
import { refuseUsedDisk } from './used-disk.js';

/** The user that a storage is mounted for, or reused by. */
interface StorageUser {
  readonly owner: StorageOwner;
  readonly places?: OwnPlaces | undefined;
}

interface Nesting {
  /** True: it is added for another storage, which needs it, and whose lock is held. */
  readonly nested: boolean;
}

/**
 * Mounts storages and counts their users: the first one mounts a storage, and the last one unmounts it unless it is
 * kept. One at a time acts on a place.
 */
export class StorageMounts {
  readonly #environment: StorageEnvironment;
  readonly #entries: StorageEntries;
  readonly #locks: PlaceLocks = new PlaceLocks();

  constructor(environment: StorageEnvironment, entries: StorageEntries) {
    this.#environment = environment;
    this.#entries = entries;
  }

  /** Mounts a storage, or reuses one that an equal request mounted. Pushes its release to `made`. */
  async add(
    place: string,
    storage: Storage,
    user: StorageUser,
    made: UndoStack,
    lock: Nesting = { nested: false },
  ): Promise<void> {
    const add = async (): Promise<void> => {
      const known = this.#entries.get(place);
      if (known !== undefined) refuseOtherRequest(storage, known.record.storage);
      const others = this.#entries.records.filter((record) => record.place !== place);
      refuseUsedDisk(
        storage,
        others.map((record) => record.storage),
      );
      user.places?.add(known?.record.sources ?? []);
      const entry = known ?? (await this.#prepare(storage, user, place));
      this.use(storage.mountPoint, entry, made, lock);
    };
    await this.#locks.during(place, add, lock);
  }

  async #prepare(storage: Storage, user: StorageUser, place: string): Promise<StorageEntry> {
    const driver = storageDriver(storage.driver);
    const made = new UndoStack();
    const base = Directory.open(this.#environment.syscalls, this.#environment.paths.kata);
    try {
      const missing = await this.#environment.media.run('missingPlaces', { places: placesTo(place) }, [
        base.fd,
      ]);
      const { owner } = user;
      const begun = { place, storage, owner, missing, sources: [], needs: [], ready: false, kept: false };
      const entry: StorageEntry = { record: begun, made, users: 0 };
      this.#entries.add(entry);
      this.#entries.save();
      await driver.prepare(storage, this.#context(entry, base, user));
      // A storage that it needs may have been mounted meanwhile, and precedes it.
      entry.record = { ...entry.record, ready: true };
      this.#entries.add(entry);
      this.#entries.save();
      return entry;
    } catch (error) {
      await made.unwind();
      this.#remove(place);
      throw error;
    } finally {
      base.close();
    }
  }

  /** `user`: absent if an earlier agent mounted it. */
  #context(entry: StorageEntry, base: Directory, user?: StorageUser): StorageContext {
    const { owner } = entry.record;
    const need = async (other: Storage): Promise<void> => {
      const place = this.#entries.placeOf(other.mountPoint);
      await this.add(place, other, user ?? { owner }, entry.made, { nested: true });
      entry.record = { ...entry.record, needs: [...entry.record.needs, place] };
    };
    return storageContext({
      environment: this.#environment,
      entry,
      base,
      user,
      need,
      throughStorages: (source) => this.#entries.throughStorages(source),
    });
  }

  /** Adds a storage that an earlier agent mounted, and resumes the driver's work on it. */
  async adopt(record: SavedStorage): Promise<void> {
    const { storage } = record;
    const made = new UndoStack();
    const entry: StorageEntry = { record, made, users: 0 };
    for (const needed of record.needs) {
      const other = this.#entries.get(needed);
      if (other !== undefined) this.use(needed, other, made, { nested: true });
    }
    made.push(`storage at ${storage.mountPoint}`, () => rollBackStorage(record, this.#environment));
    this.#entries.add(entry);
    const { paths, syscalls, log } = this.#environment;
    const base = Directory.open(syscalls, paths.kata);
    try {
      await storageDriver(storage.driver).resume?.(storage, this.#context(entry, base));
    } catch (error) {
      log('error', `the storage at ${storage.mountPoint} stays as it is: ${String(error)}`);
    } finally {
      base.close();
    }
  }

  /** Adds a user to a mounted storage. Pushes its release to `made`. */
  use(mountPoint: string, entry: StorageEntry, made: UndoStack, lock: Nesting = { nested: false }): void {
    entry.users += 1;
    made.push(`storage at ${mountPoint}`, () => this.#release(entry, lock));
  }

  #release(entry: StorageEntry, lock: Nesting): Promise<void> {
    const { place } = entry.record;
    const release = async (): Promise<void> => {
      entry.users -= 1;
      if (entry.users > 0 || entry.record.kept) return;
      const [failure] = await entry.made.unwind();
      this.#remove(place);
      if (failure !== undefined) throw failure;
    };
    return this.#locks.during(place, release, lock);
  }

  #remove(place: string): void {
    this.#entries.delete(place);
    this.#entries.save();
  }
}

/** Returns the paths of the directories above a path, and the path itself. Outermost first. */
function placesTo(place: string): readonly string[] {
  const names = place.split('/');
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}
