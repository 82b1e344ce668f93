import { GuestError } from '../error/guest-error.js';
import type { UndoStack } from '../undo-stack.js';
import type { UsedSource } from '../source/other-containers.js';
import type { SavedStorage } from './saved-storage.js';
import { throughStorages } from './through-storages.js';

/** A storage that is mounted, or being mounted. */
export interface StorageEntry {
  record: SavedStorage;
  /** Steps that release it. */
  readonly made: UndoStack;
  users: number;
}

/** Where the storages are saved. */
export interface SavedStorages {
  saveStorages(records: readonly SavedStorage[]): void;
}

/** The entries of the storage table, by place: the mount point below Kata's directory. Oldest first. */
export class StorageEntries {
  readonly #entries: Map<string, StorageEntry> = new Map();
  readonly #kata: string;
  readonly #saved: SavedStorages;

  /** `kata`: Kata's directory. */
  constructor(kata: string, saved: SavedStorages) {
    this.#kata = kata;
    this.#saved = saved;
  }

  /** Returns the place of a mount point that `mountPlace` allowed. */
  placeOf(mountPoint: string): string {
    const base = `${this.#kata}/`;
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

  get(place: string): StorageEntry | undefined {
    return this.#entries.get(place);
  }

  /** Returns the entry at a mount point that `mountPlace` allowed. */
  at(mountPoint: string): StorageEntry | undefined {
    return this.#entries.get(this.placeOf(mountPoint));
  }

  /** Returns a source and, if it is in a storage, the corresponding path in each source of that storage. */
  throughStorages(source: UsedSource): readonly UsedSource[] {
    return throughStorages(source, this.#kata, (place) => this.get(place)?.record.sources ?? []);
  }

  get all(): readonly StorageEntry[] {
    return [...this.#entries.values()];
  }

  get records(): readonly SavedStorage[] {
    return this.all.map(({ record }) => record);
  }

  /** Adds an entry as the newest, without saving. */
  add(entry: StorageEntry): void {
    const { place } = entry.record;
    this.#entries.delete(place);
    this.#entries.set(place, entry);
  }

  /** Removes an entry, without saving. */
  delete(place: string): void {
    this.#entries.delete(place);
  }

  save(): void {
    this.#saved.saveStorages(this.records);
  }
}
