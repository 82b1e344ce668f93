import { GuestError } from '../guest-error.js';
import { contains } from '../paths/clean-path.js';
import type { Storage } from '../request/actions.js';
import type { UndoStack } from '../undo-stack.js';
import type { UsedSource } from '../source/place-owner.js';
import type { StorageOwner } from './drivers/storage-driver.js';

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

/**
 * Returns a source and, if it is in a storage, the corresponding path in each source of that storage. Pure.
 *
 * @param kata Kata's directory.
 * @param sourcesAt the sources of the storage with this mount point, a path below Kata's directory; none: there is no
 * storage.
 */
export function throughStorages(
  source: UsedSource,
  kata: string,
  sourcesAt: (place: string) => readonly UsedSource[],
): readonly UsedSource[] {
  if (!contains(kata, source.path)) return [source];
  const names = source.path.slice(kata.length + 1).split('/');
  const shown = names.flatMap((_, index) => {
    const rest = names.slice(index + 1).map((name) => `/${name}`);
    return sourcesAt(names.slice(0, index + 1).join('/')).map(({ path, use, isDirectory }) => ({
      path: path + rest.join(''),
      use: use === 'volume' ? source.use : use,
      isDirectory: rest.length === 0 ? isDirectory : source.isDirectory,
    }));
  });
  return [source, ...shown];
}

/** A storage in the state file, from before the first step of mounting until after the last step of its release. */
export interface SavedStorage {
  /** Below Kata's directory. */
  readonly place: string;
  readonly storage: Storage;
  readonly owner: StorageOwner;
  /** Directories of the path, and the mount point itself, that did not exist before. Outermost first. */
  readonly missing: readonly string[];
  /** Its sources, with the sources of the storages that these lie in. */
  readonly sources: readonly UsedSource[];
  /** Mount points of other storages that this one needs. */
  readonly needs: readonly string[];
  /** False: the mount was not finished. */
  readonly ready: boolean;
  /** Released with the sandbox, however many containers use it. */
  readonly kept: boolean;
}
