import type { MountStatus } from '../request/actions.js';
import { contains } from '../paths/clean-path.js';
import type { UsedSource } from '../source/other-containers.js';

/** The record of a removed container, for rules about the order of containers (S35). */
export interface RemovedContainer {
  /** Its name in the pod, from the host; empty: the pause container, or unnamed. */
  readonly name: string;
  /** Exit code of its first process; absent: unknown. */
  readonly exitCode: number | undefined;
  /** Its mounts of storages that the sandbox keeps (S38). */
  readonly mounts: readonly MountStatus[];
}

/** Maximum number of records: far more than a pod needs, with at most two of each name. */
const maxRecords = 256;

/**
 * Adds a container to the records: of each name the last that was removed is kept, and the last that exited with 0.
 * Pure.
 */
export function remembered(
  removed: readonly RemovedContainer[],
  container: RemovedContainer,
): readonly RemovedContainer[] {
  const { name, exitCode } = container;
  const others = removed.filter((each) => each.name !== name || (each.exitCode === 0 && exitCode !== 0));
  return [...others, container].slice(-maxRecords);
}

/** Returns the mounts of storages that outlive their container. `kept`: the mount points of these storages. Pure. */
export function mountsOfKept(
  mounts: readonly MountStatus[],
  kept: readonly string[],
): readonly MountStatus[] {
  return mounts.filter(({ source }) => kept.some((place) => contains(place, source)));
}

/** The places of a removed container: files that it wrote may still be there (S29). */
export interface RemovedPlaces {
  readonly id: string;
  readonly sources: readonly UsedSource[];
}

/** Adds the places that only this container had; replaces those of an earlier one with the same id. Pure. */
export function withPlaces(
  removed: readonly RemovedPlaces[],
  { id, sources }: RemovedPlaces,
): readonly RemovedPlaces[] {
  const own = sources.filter(({ use }) => use === 'own');
  const others = removed.filter((each) => each.id !== id);
  return own.length === 0 ? others : [...others, { id, sources: own }];
}
