import type { Storage } from '../request/actions.js';
import type { UsedSource } from '../source/other-containers.js';
import type { StorageOwner } from './drivers/storage-driver.js';

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
