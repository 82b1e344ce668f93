import { GuestError } from '../guest-error.js';
import { contains } from '../paths/clean-path.js';
import { quotedPath } from '../quoted.js';
import type { PlaceOwner, UsedSource } from './place-owner.js';
import type { RemovedPlaces } from './removed-places.js';

interface Parts {
  readonly id: string;
  /** Receives each source that is added. */
  readonly sources: UsedSource[];
  /** All others: containers, including those being created, and mounted storages. */
  readonly others: () => readonly PlaceOwner[];
  readonly removed: RemovedPlaces;
  /** Mount points of the pod's storages. */
  readonly podPlaces: () => readonly string[];
}

/**
 * Keeps a container that is being created from other containers' places, and other containers from its own (S29). A
 * container's places are the paths that contain its id, as Kata's runtimes name them (`shared/containers/ID/rootfs`,
 * `ID/rootfs`, `shared/containers/ID-…-hosts`), and the sources of its root, whatever their names. Containers are
 * created concurrently: each adds a source before it checks the others', so that of two that conflict the second one is
 * refused.
 */
export class OwnPlaces {
  readonly #parts: Parts;

  /** Throws `refused` if others have a place of this container already. */
  constructor(parts: Parts) {
    this.#parts = parts;
    const { id } = parts;
    const others = this.#others();
    const isContainer = this.#isContainer(others);
    for (const other of others)
      for (const source of other.sources)
        if (
          source.path.includes(id) &&
          namedIn(source, isContainer).includes(id) &&
          !this.#isOfPod(source.path)
        )
          throw new GuestError(
            'refused',
            `${other.named} has a place of container ${id} already: ${quotedPath(source.path)}`,
          );
  }

  /** Throws `refused` for the first source that is a place of another container. */
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
        `source ${quotedPath(source.path)} lies in a volume of the pod: a root must not be writable by others`,
      );
    }
    const others = this.#others();
    const owner = namedIn(source, this.#isContainer(others)).find((other) => other !== id);
    if (owner !== undefined)
      throw new GuestError('refused', `source ${quotedPath(source.path)} is a place of container ${owner}`);
    for (const other of others)
      for (const theirs of other.sources)
        if (conflict(source, theirs) && !this.#isOfPod(theirs.path))
          throw new GuestError(
            'refused',
            `source ${quotedPath(source.path)} is a place of ${other.named}, which has ${quotedPath(theirs.path)}`,
          );
  }

  #others(): readonly PlaceOwner[] {
    const { id, others, removed } = this.#parts;
    return [...others(), ...removed.owners({ butOf: id })];
  }

  /** Whether an id is that of this container, of another one, or of a removed one that had places. */
  #isContainer(others: readonly PlaceOwner[]): (id: string) => boolean {
    const { id, removed } = this.#parts;
    const ids = new Set([id, ...others.flatMap((other) => other.id ?? [])]);
    return (name) => ids.has(name) || removed.hadPlaces(name);
  }

  #isOfPod(path: string): boolean {
    return this.#parts.podPlaces().some((place) => contains(place, path));
  }
}

/** Returns the containers whose ids a path contains. */
function namedIn({ path, isDirectory }: UsedSource, isContainer: (id: string) => boolean): readonly string[] {
  const names = path.split('/');
  const found = names.filter(isContainer);
  // A directory may be named after the first of several containers that share it: runtime-rs copies a volume once.
  if (found.length > 0 || isDirectory) return found;
  const file = names.at(-1) ?? '';
  // Of two ids that it begins with, the longer one is meant.
  for (let end = file.lastIndexOf('-'); end > 0; end = file.lastIndexOf('-', end - 1)) {
    const id = file.slice(0, end);
    if (isContainer(id)) return [id];
  }
  return [];
}

/** Reports whether two sources overlap and are not of a kind that containers share. */
function conflict(one: UsedSource, other: UsedSource): boolean {
  if (one.use === other.use && one.use !== 'own') return false;
  if (one.use === 'guest' || other.use === 'guest') return false;
  return contains(one.path, other.path) || contains(other.path, one.path);
}
