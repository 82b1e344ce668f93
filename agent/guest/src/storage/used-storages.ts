import type { SavedStorage } from './saved-storage.js';

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
