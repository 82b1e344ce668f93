import type { Storage } from '../actions.js';
import type { UsedSource } from '../source/other-containers.js';
import type { StorageOwner } from './storage-driver.js';

/** A storage as it stands in our state, from before the first step of its making until after the last of its release. */
export interface StorageRecord {
  /** Below Kata's directory. */
  readonly place: string;
  readonly storage: Storage;
  readonly owner: StorageOwner;
  /** Of the directories down to the place, and the place itself, those that were not there before. The outermost first. */
  readonly missing: readonly string[];
  /** What it was made of, with the sources of the storages that these lie in. */
  readonly sources: readonly UsedSource[];
  /** The places of other storages that this one needs. */
  readonly needs: readonly string[];
  /** False: its making was not finished. */
  readonly ready: boolean;
  /** It goes with the sandbox, however many containers use it. */
  readonly kept: boolean;
}
