import type { Directory } from '@kata-agent/linux';
import type { Storage } from '../request/actions.js';
import { type OpenSource, usedSource } from '../source/open-source.js';
import { openSourceOf } from '../source/open-source-of.js';
import type { OwnPlaces, SourceUse, UsedSource } from '../source/other-containers.js';
import type { StorageContext, StorageEnvironment } from './drivers/storage-driver.js';
import type { StorageEntry } from './storage-entries.js';

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
export function storageContext(parts: Parts): StorageContext {
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
    open: async (path: string, named: string, use: SourceUse = 'volume'): Promise<OpenSource> => {
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
