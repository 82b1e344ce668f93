import { GuestError } from '../guest-error.js';
import { contains, quoted } from './clean-path.js';

/**
 * What a source is for. `own`: a root, or the layer of a root that the container writes to; `layer`: a layer of a root that it
 * reads; `volume`: anything else in Kata's directory; `guest`: of the guest itself, where the configuration says what is shared.
 */
export type SourceUse = 'own' | 'layer' | 'volume' | 'guest';

/** A path that was opened as a source. */
export interface UsedSource {
  /** Clean. */
  readonly path: string;
  readonly use: SourceUse;
  readonly isDirectory: boolean;
}

/** A container, or a storage, as far as its places are concerned. */
export interface PlaceOwner {
  /** For errors: `container app`. */
  readonly named: string;
  /** The container's; absent: a storage. */
  readonly id?: string;
  /** All that its root, its mounts and its storages were made of; what a storage shows is there with the storage's sources. */
  readonly sources: readonly UsedSource[];
}

interface Parts {
  readonly id: string;
  /** Gets each source that is added. */
  readonly sources: UsedSource[];
  /** All others: containers, those being made and those removed included, and storages that are in place. */
  readonly others: () => readonly PlaceOwner[];
  /** Where storages of the whole pod are mounted. */
  readonly podPlaces: () => readonly string[];
}

/**
 * Keeps a container that is being made from the places of others, and others' from its own (S29). A container's places are
 * those that bear its id, as Kata's runtimes name them (`shared/containers/ID/rootfs`, `ID/rootfs`, `shared/containers/ID-…-hosts`),
 * and what its root is made of, whatever its name. Containers are made beside each other: each adds a source before it looks at
 * the others', so that of two that meet the second one is refused.
 */
export class OwnPlaces {
  readonly #parts: Parts;

  /** Throws `refused` when others have a place of this container already. */
  constructor(parts: Parts) {
    this.#parts = parts;
    const { id } = parts;
    const others = parts.others();
    const ids = [id, ...idsOf(others)];
    for (const other of others)
      for (const source of other.sources)
        if (source.path.includes(id) && bears(id, source, ids) && !this.#isOfPod(source.path))
          throw new GuestError(
            'refused',
            `${other.named} has a place of container ${id} already: ${quoted(source.path)}`,
          );
  }

  /** Throws `refused` for the first that is a place of another container. */
  add(sources: readonly UsedSource[]): void {
    this.#parts.sources.push(...sources);
    for (const source of sources) this.refuseOthers(source);
  }

  refuseOthers(source: UsedSource): void {
    const { id } = this.#parts;
    if (this.#isOfPod(source.path)) {
      if (source.use === 'volume' || source.use === 'guest') return;
      throw new GuestError(
        'refused',
        `source ${quoted(source.path)} lies in a volume of the pod: nothing of a root may be what others write to`,
      );
    }
    const others = this.#parts.others();
    const ids = idsOf(others);
    const owner = ids.find((other) => bears(other, source, [id, ...ids]));
    if (owner !== undefined)
      throw new GuestError('refused', `source ${quoted(source.path)} is a place of container ${owner}`);
    for (const other of others)
      for (const theirs of other.sources)
        if (conflict(source, theirs) && !this.#isOfPod(theirs.path))
          throw new GuestError(
            'refused',
            `source ${quoted(source.path)} is a place of ${other.named}, which has ${quoted(theirs.path)}`,
          );
  }

  #isOfPod(path: string): boolean {
    return this.#parts.podPlaces().some((place) => contains(place, path));
  }
}

function idsOf(owners: readonly PlaceOwner[]): readonly string[] {
  return owners.flatMap(({ id }) => id ?? []);
}

/** Whether a path bears the id of a container, by its names. `ids`: of all containers. */
function bears(id: string, { path, isDirectory }: UsedSource, ids: readonly string[]): boolean {
  const names = path.split('/');
  if (names.includes(id)) return true;
  // A directory may bear the id of the first of several containers that share it: runtime-rs copies a volume once.
  if (isDirectory || ids.some((each) => names.includes(each))) return false;
  const [longest] = ids
    .filter((each) => names.at(-1)?.startsWith(`${each}-`))
    .toSorted((a, b) => b.length - a.length);
  return longest === id;
}

/** Whether one is, contains or lies in the other, and they are not of the kind that containers share. */
function conflict(one: UsedSource, other: UsedSource): boolean {
  if (one.use === other.use && one.use !== 'own') return false;
  if (one.use === 'guest' || other.use === 'guest') return false;
  return contains(one.path, other.path) || contains(other.path, one.path);
}
