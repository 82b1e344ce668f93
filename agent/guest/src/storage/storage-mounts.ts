import { join } from 'node:path';
import { Directory, mounts } from '@kata-agent/linux';
import { removeAside } from '../removal/remove-tree.js';
import type { Storage } from '../request/actions.js';
import { type NamedSource, usedSource } from '../source/open-source.js';
import { openSourceOf } from '../source/open-source-of.js';
import { UndoStack } from '../undo-stack.js';
import type { OwnPlaces } from '../source/other-containers.js';
import type { SourceUse, UsedSource } from '../source/place-owner.js';
import { ephemeral, hugePageFileSystem, hugePagesOf, removeHugePages } from './drivers/ephemeral.js';
import { layersDirectory, multiLayerErofs } from './drivers/multi-layer-erofs.js';
import { PlaceLocks } from './place-locks.js';
import { storageDriver } from './drivers/storage-drivers.js';
import type { StorageContext, StorageEnvironment, StorageOwner } from './drivers/storage-driver.js';
import { KataOptions } from './kata-options.js';
import { unmountPlace } from './mount-point.js';
import { rootLayersOf } from './root-layers.js';
import { closeVerity, verityName, verityOf } from './drivers/verity.js';
import { watchableBind } from './drivers/watchable-bind.js';
import { refuseOtherRequest, refuseUsedDisk } from './storage-conflicts.js';
import type { SavedStorage, StorageEntries, StorageEntry } from './storage-entries.js';

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

interface Parts {
  readonly environment: StorageEnvironment;
  readonly entry: StorageEntry;
  /** Kata's directory, open. */
  readonly base: Directory;
  /** Undefined: an earlier agent mounted the storage, and its record has the sources. */
  readonly user: { readonly places?: OwnPlaces | undefined } | undefined;
  readonly need: (storage: Storage) => Promise<void>;
  /** Returns a source with the sources of the storages that it lies in. */
  readonly throughStorages: (source: UsedSource) => readonly UsedSource[];
}

/** Returns what a driver gets to mount the storage of an entry: each source that it opens is added to the record. */
function storageContext(parts: Parts): StorageContext {
  const { environment, entry, base, user, need, throughStorages } = parts;
  const { owner, place } = entry.record;
  const container = owner.kind === 'container' ? owner.id : undefined;
  return {
    ...environment,
    owner,
    base,
    place,
    need,
    made: entry.made,
    open: async (path: string, named: string, use: SourceUse = 'volume'): Promise<NamedSource> => {
      const source = await openSourceOf({ path, named, container }, environment);
      try {
        if (user === undefined) return source;
        const used = throughStorages(usedSource(source, use));
        entry.record = { ...entry.record, sources: [...entry.record.sources, ...used] };
        user.places?.add(used);
        return source;
      } catch (error) {
        source.descriptor.close();
        throw error;
      }
    },
    refuseOthers: (path: string): void => {
      const used = throughStorages({ path, use: 'own', isDirectory: true });
      for (const source of used) user?.places?.refuseOthers(source);
    },
  };
}

/**
 * Releases a storage that an earlier agent mounted, or began to: undoes each step in reverse order, whether or not it
 * was reached.
 */
export async function rollBackStorage(record: SavedStorage, environment: StorageEnvironment): Promise<void> {
  const { place, storage, missing } = record;
  const { media, paths } = environment;
  const target = join(paths.kata, place);
  // Stacked mounts, if a release was interrupted or the same path was mounted twice: each is unmounted with its own
  // record.
  const mounted = mounts().findLast((mount) => mount.target === target);
  if (mounted !== undefined) await unmountPlace({ media, paths, place });
  if (storage.driver === ephemeral.name && mounted?.type === hugePageFileSystem)
    await removeHugePages(hugePagesOf(storage.options), paths);
  const { owner } = record;
  if (storage.driver === multiLayerErofs.name && owner.kind === 'container')
    await media.run('unmountTree', { directory: join(owner.bundle, layersDirectory) });
  for (const name of verityNames(storage, place)) await closeVerity(name, environment);
  if (storage.driver === watchableBind.name) await removeAside(target, environment);
  await media.run('removeIfEmpty', { kata: paths.kata, places: missing.toReversed() });
}

/** Returns the names of the verity devices that a storage may have. */
function verityNames(storage: SavedStorage['storage'], place: string): readonly string[] {
  if (storage.driver === multiLayerErofs.name)
    return rootLayersOf(storage).lowers.flatMap(({ verity }, index) =>
      verity === undefined ? [] : [verityName(verity, place, index)],
    );
  const verity = verityOf(KataOptions.parse(storage.options, 'layer'));
  return verity === undefined ? [] : [verityName(verity, place)];
}
