import type { Storage } from '../request/actions.js';
import type { OciMount } from '../request/oci-spec.js';
import type { UndoStack } from '../undo-stack.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../guest-error.js';
import type { OwnPlaces } from '../source/other-containers.js';
import type { PlaceOwner, UsedSource } from '../source/place-owner.js';
import { ephemeral, resizeMemory } from './drivers/ephemeral.js';
import { mountPlace, type MountPlaceOwner } from './mount-place.js';
import { storageDriver } from './drivers/storage-drivers.js';
import { virtioFs } from './drivers/virtio-fs.js';
import { contains } from '../paths/clean-path.js';
import type { StorageEnvironment, StorageOwner } from './drivers/storage-driver.js';
import { type SavedStorage, type SavedStorages, StorageEntries } from './storage-entries.js';
import { rollBackStorage, StorageMounts } from './storage-mounts.js';

/**
 * The mounted storages, by mount point. A second container that names the same one shares it; the last user unmounts
 * it, unless it is shared or holds a pod's data.
 */
export class StorageTable {
  readonly #environment: StorageEnvironment;
  readonly #entries: StorageEntries;
  readonly #mounts: StorageMounts;

  constructor(environment: StorageEnvironment, saved: SavedStorages) {
    this.#environment = environment;
    this.#entries = new StorageEntries(environment.paths.kata, saved);
    this.#mounts = new StorageMounts(environment, this.#entries);
  }

  /** Returns the devices that must appear before these storages can be added; none for those that are mounted. */
  needs(storages: readonly Storage[]): readonly Wanted[] {
    return storages.flatMap((storage) =>
      this.#entries.at(storage.mountPoint)?.record.ready === true
        ? []
        : (storageDriver(storage.driver).needs?.(storage) ?? []),
    );
  }

  /**
   * Mounts a storage, or fails and leaves nothing behind. Pushes its release to `made`.
   *
   * @param places places of the container: the storage's sources are added. Absent: it is the sandbox's, which is
   * mounted before all containers.
   */
  async add(storage: Storage, owner: StorageOwner, made: UndoStack, places?: OwnPlaces): Promise<void> {
    const { paths } = this.#environment;
    const place = mountPlace(storage.driver, storage.mountPoint, placeOwner(owner), paths.kata);
    await this.#mounts.add(place, storage, { owner, places }, made);
  }

  /** Marks the container's storages as in use: those that outlive it are kept from here on. */
  keep(storages: readonly Storage[], bundle: string): void {
    const entries = storages
      .filter((storage) => outlivesContainer(storage, bundle))
      .map(({ mountPoint }) => this.#entries.at(mountPoint))
      .filter((entry) => entry !== undefined)
      .filter(({ record }) => !record.kept);
    if (entries.length === 0) return;
    const mark = (kept: boolean): void => {
      for (const entry of entries) entry.record = { ...entry.record, kept };
    };
    mark(true);
    try {
      this.#entries.save();
    } catch (error) {
      mark(false);
      throw error;
    }
  }

  /**
   * Restores the storages of an earlier agent. Releases those that were not finished, and those that none of `mounted`
   * needs. Failures to release are logged, and the storage is forgotten as after any other release.
   *
   * @param mounted the mount points of all containers and of the sandbox, each once for each use.
   */
  async restore(records: readonly SavedStorage[], mounted: readonly string[]): Promise<void> {
    const places = mounted.map((mountPoint) => this.#entries.placeOf(mountPoint));
    const { used, unused } = usedStorages(records, places);
    for (const record of unused) await this.#rollBack(record);
    for (const record of used) await this.#mounts.adopt(record);
    this.#entries.save();
  }

  /** Adds a user to a mounted storage, as `add`, for a container of an earlier agent. */
  use(mountPoint: string, made: UndoStack): void {
    const entry = this.#entries.at(mountPoint);
    if (entry !== undefined) this.#mounts.use(mountPoint, entry, made);
  }

  /**
   * Adds a user to each mounted storage that is the source of a mount and that no storage of the request names: its content
   * stays until the last container that mounts it is removed. Returns their mount points.
   *
   * @param own mount points of the request's storages
   */
  useBelow(mounts: readonly OciMount[], own: readonly string[], made: UndoStack): readonly string[] {
    const sources = new Set(mounts.map(({ source }) => source));
    const used = this.inPlace
      .map(({ mountPoint }) => mountPoint)
      .filter((mountPoint) => sources.has(mountPoint) && !own.includes(mountPoint));
    for (const mountPoint of used) this.use(mountPoint, made);
    return used;
  }

  /** Returns the mount points of storages that are kept until the sandbox ends. */
  retainedMountPoints(): readonly string[] {
    return this.#entries.records.filter(({ kept }) => kept).map(({ storage }) => storage.mountPoint);
  }

  /** Resizes mounted tmpfs storages. All are looked up before the first is changed. */
  resizeMemory(storages: readonly Storage[]): void {
    const places = storages.map((storage) => {
      if (storage.driver !== ephemeral.name)
        throw new GuestError(
          'invalid',
          `only ${ephemeral.name} storages can be updated, not ${storage.driver}`,
        );
      const place = this.#entries.placeOf(storage.mountPoint);
      if (this.#entries.get(place)?.record.ready !== true)
        throw new GuestError('not-found', `there is no storage at ${storage.mountPoint}`);
      return place;
    });
    storages.forEach((storage, index) => resizeMemory(storage, places[index] ?? '', this.#environment));
  }

  /** Returns the mount points of storages that hold the pod's data. */
  podPlaces(): readonly string[] {
    return this.inPlace
      .filter(({ driver }) => storageDriver(driver).ofPod)
      .map(({ mountPoint }) => mountPoint);
  }

  /**
   * Returns the mount points of storages that contain a path, without the share, whose files the host has. Their files are
   * the pod's.
   */
  around(path: string): readonly string[] {
    return this.inPlace
      .filter(({ driver }) => driver !== virtioFs.name)
      .map(({ mountPoint }) => mountPoint)
      .filter((mountPoint) => contains(mountPoint, path));
  }

  /** Returns the mounted storages. */
  get inPlace(): readonly Storage[] {
    return this.#entries.records.map(({ storage }) => storage);
  }

  /** Returns all storages but those of this container's requests, each with its sources. */
  owners({ butOf }: { readonly butOf: string }): readonly PlaceOwner[] {
    return this.#entries.records
      .filter(({ owner }) => owner.kind === 'sandbox' || owner.id !== butOf)
      .filter(({ sources }) => sources.length > 0)
      .map(({ storage, sources }) => ({ named: `the storage at ${storage.mountPoint}`, sources }));
  }

  /** Returns a source and, if it is in a storage, the corresponding path in each source of that storage. */
  throughStorages(source: UsedSource): readonly UsedSource[] {
    return this.#entries.throughStorages(source);
  }

  /** Releases the storages that are kept until the sandbox ends. */
  async clear(): Promise<readonly Error[]> {
    const failures: Error[] = [];
    for (const { made, record } of this.#entries.all.toReversed()) {
      failures.push(...(await made.unwind()));
      this.#entries.delete(record.place);
    }
    this.#entries.save();
    return failures;
  }

  async #rollBack(record: SavedStorage): Promise<void> {
    try {
      await rollBackStorage(record, this.#environment);
    } catch (error) {
      const { mountPoint } = record.storage;
      this.#environment.log('error', `could not undo: storage at ${mountPoint}: ${String(error)}`);
    }
  }
}

function placeOwner(owner: StorageOwner): MountPlaceOwner {
  if (owner.kind === 'sandbox') return { container: undefined, pod: undefined, others: [] };
  const [first] = owner.others;
  return { container: owner.id, pod: first ?? owner.id, others: owner.others };
}

/**
 * Reports whether a storage is kept until the sandbox ends: it is shared, or holds a pod's data outside of the
 * container's own bundle. Pure.
 */
function outlivesContainer({ shared, driver, mountPoint }: Storage, bundle: string): boolean {
  return shared || (storageDriver(driver).ofPod && !mountPoint.startsWith(`${bundle}/`));
}

/** The storages of an earlier agent. */
interface UsedStorages {
  /** In use, or kept until the sandbox ends: to be restored, in the order in which they were mounted. */
  readonly used: readonly SavedStorage[];
  /** To be released, in this order: those that were not finished, and those that nothing needs. */
  readonly unused: readonly SavedStorage[];
}

/**
 * Separates the storages that an earlier agent's containers and sandbox need, directly or through another storage, from
 * the others. Pure.
 *
 * @param records in the order in which they were mounted: a storage that another one needs comes before it.
 * @param mounted the places of the storages that containers and the sandbox name.
 */
export function usedStorages(records: readonly SavedStorage[], mounted: readonly string[]): UsedStorages {
  const wanted = new Set(mounted);
  const unused: SavedStorage[] = records.filter(({ ready }) => !ready);
  for (const record of records.filter(({ ready }) => ready).reverse()) {
    if (!record.kept && !wanted.has(record.place)) unused.push(record);
    else for (const place of record.needs) wanted.add(place);
  }
  return { used: records.filter((record) => !unused.includes(record)), unused };
}
