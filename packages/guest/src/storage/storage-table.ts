import { isDeepStrictEqual } from 'node:util';
import { Directory } from '@kata-agent/linux';
import type { Storage } from '../actions.js';
import { UndoStack } from '../container/undo-stack.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../guest-error.js';
import { contains } from '../source/clean-path.js';
import { type OpenSource, openSource, usedSource } from '../source/open-source.js';
import type { OwnPlaces, PlaceOwner, SourceUse, UsedSource } from '../source/other-containers.js';
import { ephemeral } from './ephemeral.js';
import { mountPlace, type MountPlaceOwner } from './mount-place.js';
import { PlaceLocks } from './place-locks.js';
import { resizeMemory } from './resize-memory.js';
import { storageDriver } from './storage-drivers.js';
import type { StorageContext, StorageEnvironment, StorageOwner } from './storage-driver.js';
import type { StorageRecord } from './storage-record.js';
import { takeBackStorage } from './take-back.js';

interface Entry {
  record: StorageRecord;
  readonly made: UndoStack;
  users: number;
}

/** For whom a storage is prepared or used again. */
interface StorageUser {
  readonly owner: StorageOwner;
  readonly places?: OwnPlaces | undefined;
}

/** Where the table stands for the next agent. */
interface StorageRecords {
  saveStorages(records: readonly StorageRecord[]): void;
}

/**
 * The storages that are in place, by mount point. A second container that names the same one uses it too; the last user
 * takes it down, unless it is shared or a pod's own data.
 */
export class StorageTable {
  readonly #environment: StorageEnvironment;
  readonly #records: StorageRecords;
  readonly #entries: Map<string, Entry> = new Map();
  readonly #locks: PlaceLocks = new PlaceLocks();

  constructor(environment: StorageEnvironment, records: StorageRecords) {
    this.#environment = environment;
    this.#records = records;
  }

  /** The devices that have to be there before these can be added; for what is in place, none. */
  needs(storages: readonly Storage[]): readonly Wanted[] {
    return storages.flatMap((storage) =>
      this.#entries.get(this.#placeOf(storage.mountPoint))?.record.ready === true
        ? []
        : (storageDriver(storage.driver).needs?.(storage) ?? []),
    );
  }

  /**
   * Puts a storage in place, or fails and leaves nothing. Its release is pushed to `made`.
   *
   * @param places of the container that it is for: gets what the storage is made of. Absent: it is the sandbox's, which comes
   *   before all containers.
   */
  async add(storage: Storage, owner: StorageOwner, made: UndoStack, places?: OwnPlaces): Promise<void> {
    const { paths } = this.#environment;
    const place = mountPlace(storage.driver, storage.mountPoint, placeOwner(owner), paths.kata);
    await this.#addAt(place, storage, { owner, places }, made, { nested: false });
  }

  /** The container that uses them was made: from now on, those that are to outlive it do. */
  keep(storages: readonly Storage[], bundle: string): void {
    const entries = storages
      .filter((storage) => outlives(storage, bundle))
      .map(({ mountPoint }) => this.#entries.get(this.#placeOf(mountPoint)))
      .filter((entry) => entry !== undefined && !entry.record.kept) as readonly Entry[];
    if (entries.length === 0) return;
    const mark = (kept: boolean): void => {
      for (const entry of entries) entry.record = { ...entry.record, kept };
    };
    mark(true);
    try {
      this.#save();
    } catch (error) {
      mark(false);
      throw error;
    }
  }

  /**
   * Takes over what an earlier agent had in place. What was not finished, and what none of `used` needs, is taken back.
   * Those that fail to be are logged, and forgotten as they are after any other release.
   *
   * @param used the mount points of all containers and of the sandbox, each as often as it is used.
   */
  async restore(records: readonly StorageRecord[], used: readonly string[]): Promise<void> {
    const wanted = new Set(used.map((mountPoint) => this.#placeOf(mountPoint)));
    const lost: StorageRecord[] = records.filter(({ ready }) => !ready);
    // What another one needs stands before it.
    for (const record of records.filter(({ ready }) => ready).reverse()) {
      if (!record.kept && !wanted.has(record.place)) lost.push(record);
      else for (const place of record.needs) wanted.add(place);
    }
    for (const record of lost) await this.#takeBack(record);
    for (const record of records.filter((each) => !lost.includes(each))) await this.#adopt(record);
    this.#save();
  }

  /** One more user of a storage that is in place, as `add`, for what an earlier agent had made. */
  use(mountPoint: string, made: UndoStack): void {
    const entry = this.#entries.get(this.#placeOf(mountPoint));
    if (entry !== undefined) this.#use(mountPoint, entry, made, { nested: false });
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
      if (this.#entries.get(place)?.record.ready !== true)
        throw new GuestError('not-found', `there is no storage at ${storage.mountPoint}`);
      return place;
    });
    storages.forEach((storage, index) => resizeMemory(storage, places[index] ?? '', this.#environment));
  }

  /** Where storages that hold the whole pod's data are mounted. */
  podPlaces(): readonly string[] {
    return [...this.#entries.values()]
      .map(({ record }) => record.storage)
      .filter(({ driver }) => storageDriver(driver).ofPod)
      .map(({ mountPoint }) => mountPoint);
  }

  /** Those that are in place. */
  get inPlace(): readonly Storage[] {
    return [...this.#entries.values()].map(({ record }) => record.storage);
  }

  /** All but those that this container's requests made, each with what it was made of. */
  owners({ butOf }: { readonly butOf: string }): readonly PlaceOwner[] {
    return [...this.#entries.values()]
      .filter(({ record: { owner } }) => owner.kind === 'sandbox' || owner.id !== butOf)
      .filter(({ record: { sources } }) => sources.length > 0)
      .map(({ record }) => ({
        named: `the storage at ${record.storage.mountPoint}`,
        sources: record.sources,
      }));
  }

  /** A source and, when it lies in a storage, the same place of each source of that. */
  throughStorages(source: UsedSource): readonly UsedSource[] {
    const { kata } = this.#environment.paths;
    if (!contains(kata, source.path)) return [source];
    const names = source.path.slice(kata.length + 1).split('/');
    const shown = names.flatMap((_, index) => {
      const entry = this.#entries.get(names.slice(0, index + 1).join('/'));
      const rest = names.slice(index + 1).map((name) => `/${name}`);
      return (entry?.record.sources ?? []).map(({ path, use, isDirectory }) => ({
        path: path + rest.join(''),
        use: use === 'volume' ? source.use : use,
        isDirectory: rest.length === 0 ? isDirectory : source.isDirectory,
      }));
    });
    return [source, ...shown];
  }

  /** The sandbox ends: so do those that were kept for it. */
  async clear(): Promise<readonly Error[]> {
    const failures: Error[] = [];
    for (const [place, { made }] of [...this.#entries].reverse()) {
      failures.push(...(await made.unwind()));
      this.#entries.delete(place);
    }
    this.#save();
    return failures;
  }

  /** A storage that is in place is used again by an equal request only (S31). */
  async #addAt(
    place: string,
    storage: Storage,
    user: StorageUser,
    made: UndoStack,
    lock: { readonly nested: boolean },
  ): Promise<void> {
    const add = async (): Promise<void> => {
      const known = this.#entries.get(place);
      if (known !== undefined) refuseOther(storage, known.record.storage);
      user.places?.add(known?.record.sources ?? []);
      const entry = known ?? (await this.#prepare(storage, user, place));
      this.#use(storage.mountPoint, entry, made, lock);
    };
    await this.#locks.during(place, add, lock);
  }

  async #prepare(storage: Storage, user: StorageUser, place: string): Promise<Entry> {
    const driver = storageDriver(storage.driver);
    const made = new UndoStack();
    const base = Directory.open(this.#environment.syscalls, this.#environment.paths.kata);
    try {
      const missing = missingPlaces(place, base);
      const { owner } = user;
      const begun = { place, storage, owner, missing, sources: [], needs: [], ready: false, kept: false };
      const entry: Entry = { record: begun, made, users: 0 };
      this.#put(entry);
      await driver.prepare(storage, this.#context(entry, base, user));
      // What it needs was put in place meanwhile, and stands before it.
      this.#entries.delete(place);
      entry.record = { ...entry.record, ready: true };
      this.#put(entry);
      return entry;
    } catch (error) {
      await made.unwind();
      this.#remove(place);
      throw error;
    } finally {
      base.close();
    }
  }

  /** `user`: absent when an earlier agent has prepared it. */
  #context(entry: Entry, base: Directory, user?: StorageUser): StorageContext {
    const { made } = entry;
    const { owner, place } = entry.record;
    const need = async (other: Storage): Promise<void> => {
      await this.#addAt(this.#placeOf(other.mountPoint), other, user ?? { owner }, made, { nested: true });
      const needs = [...entry.record.needs, this.#placeOf(other.mountPoint)];
      entry.record = { ...entry.record, needs };
    };
    const container = owner.kind === 'container' ? owner.id : undefined;
    const open = (path: string, named: string, use: SourceUse = 'volume'): OpenSource => {
      const { syscalls } = this.#environment;
      const source = openSource({ path, named, container }, this.#environment, syscalls);
      try {
        if (user === undefined) return source;
        const used = this.throughStorages(usedSource(source, use));
        entry.record = { ...entry.record, sources: [...entry.record.sources, ...used] };
        user.places?.add(used);
        return source;
      } catch (error) {
        source.descriptor.close();
        throw error;
      }
    };
    const refuseOthers = (path: string): void => {
      const used = this.throughStorages({ path, use: 'own', isDirectory: true });
      for (const source of used) user?.places?.refuseOthers(source);
    };
    return { ...this.#environment, need, open, refuseOthers, owner, base, place, made };
  }

  async #adopt(record: StorageRecord): Promise<void> {
    const { storage, place } = record;
    const made = new UndoStack();
    const entry: Entry = { record, made, users: 0 };
    for (const needed of record.needs) {
      const other = this.#entries.get(needed);
      if (other !== undefined) this.#use(needed, other, made, { nested: true });
    }
    made.push(`storage at ${storage.mountPoint}`, () => takeBackStorage(record, this.#environment));
    this.#entries.set(place, entry);
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

  async #takeBack(record: StorageRecord): Promise<void> {
    try {
      await takeBackStorage(record, this.#environment);
    } catch (error) {
      const { mountPoint } = record.storage;
      this.#environment.log('error', `could not take back: storage at ${mountPoint}: ${String(error)}`);
    }
  }

  #use(mountPoint: string, entry: Entry, made: UndoStack, lock: { readonly nested: boolean }): void {
    entry.users += 1;
    made.push(`storage at ${mountPoint}`, () => this.#release(entry, lock));
  }

  #release(entry: Entry, lock: { readonly nested: boolean }): Promise<void> {
    const release = async (): Promise<void> => {
      entry.users -= 1;
      if (entry.users > 0 || entry.record.kept) return;
      const [failure] = await entry.made.unwind();
      this.#remove(entry.record.place);
      if (failure !== undefined) throw failure;
    };
    return this.#locks.during(entry.record.place, release, lock);
  }

  #put(entry: Entry): void {
    this.#entries.set(entry.record.place, entry);
    this.#save();
  }

  #remove(place: string): void {
    this.#entries.delete(place);
    this.#save();
  }

  #save(): void {
    this.#records.saveStorages([...this.#entries.values()].map(({ record }) => record));
  }

  /** Where a storage that was let through by `mountPlace` stands in the table. */
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

function placeOwner(owner: StorageOwner): MountPlaceOwner {
  if (owner.kind === 'sandbox') return { container: undefined, pod: undefined, others: [] };
  const [first] = owner.others;
  return { container: owner.id, pod: first ?? owner.id, others: owner.others };
}

function refuseOther(storage: Storage, mounted: Storage): void {
  if (isDeepStrictEqual(requestOf(mounted), requestOf(storage))) return;
  throw new GuestError(
    'exists',
    `another storage is mounted at ${storage.mountPoint}: ${mounted.driver} of ${JSON.stringify(mounted.source)}`,
  );
}

/** What makes one request for a storage another than the one that was served. */
function requestOf({ driver, driverOptions, source, fstype, options, fsGroup, shared }: Storage): object {
  return { driver, driverOptions, source, fstype, options, fsGroup, shared };
}

/** It is shared, or holds a pod's data elsewhere than in a container's own bundle. */
function outlives({ shared, driver, mountPoint }: Storage, bundle: string): boolean {
  return shared || (storageDriver(driver).ofPod && !mountPoint.startsWith(`${bundle}/`));
}

/** Of the directories down to a place, and the place itself, those that are not there. The outermost first. */
function missingPlaces(place: string, base: Directory): readonly string[] {
  const names = place.split('/');
  const paths = names.map((_, index) => names.slice(0, index + 1).join('/'));
  return paths.filter((path) => base.stat(path) === undefined);
}
