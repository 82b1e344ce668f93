/**
 * The purpose of a source. `own`: a root, or its writable layer; `layer`: a read-only layer of a root; `volume`:
 * anything else in Kata's directory; `guest`: a path of the guest itself, whose sharing the configuration decides.
 */
export type SourceUse = 'own' | 'layer' | 'volume' | 'guest';

/** A path that was opened as a source. */
export interface UsedSource {
  /** Clean. */
  readonly path: string;
  readonly use: SourceUse;
  readonly isDirectory: boolean;
}

/** A container or a storage, reduced to its places. */
export interface PlaceOwner {
  /** For errors: `container app`. */
  readonly named: string;
  /** The container's id; absent: a storage. */
  readonly id?: string;
  /** The sources of its root, mounts and storages, including the sources of those storages. */
  readonly sources: readonly UsedSource[];
}
