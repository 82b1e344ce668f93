import { setTimeout as delay } from 'node:timers/promises';
import { GuestError } from '../error/guest-error.js';
import { contains } from '../source/clean-path.js';
import type { UndoStack } from './undo-stack.js';
import { quotedPath } from '../quoted.js';

/** Clean source paths of a container. */
export interface ContainerPlaces {
  /** Sources of its root. */
  readonly roots: readonly string[];
  /** Sources of its mounts and storages. */
  readonly sources: readonly string[];
}

interface Holder {
  readonly places: ContainerPlaces;
  /** Resolves when the sources are released; undefined: they are not held. */
  making: Promise<void> | undefined;
}

interface Copy {
  readonly path: string;
  readonly over: Promise<void>;
}

/**
 * Keeps CopyFile from writing where the OCI runtime works: a container's root is held as long as the container exists,
 * its other sources while it is being created. Afterwards these may be written again: Kata's runtimes propagate changes
 * of secrets and configmaps by CopyFile.
 *
 * Not the table of `OwnPlaces`, which has opened sources with their uses: a hold begins before anything is opened, so
 * its places are the request's paths, and the whole source of each storage there.
 */
export class HeldPlaces {
  readonly #holders: Map<string, Holder> = new Map();
  readonly #copies: Set<Copy> = new Set();

  /** Holds the places of a container, once running copies to them have finished. Pushes their release to `made`. */
  async hold(container: string, places: ContainerPlaces, made: UndoStack): Promise<() => void> {
    const [making, resolve] = pending();
    const holder: Holder = { places, making };
    this.#holders.set(container, holder);
    const freeSources = (): void => {
      holder.making = undefined;
      resolve();
    };
    made.push('hold of its places', () => {
      freeSources();
      if (this.#holders.get(container) === holder) this.#holders.delete(container);
    });
    const all = [...places.roots, ...places.sources];
    const copying = [...this.#copies].filter(({ path }) => all.some((place) => touches(place, path)));
    await Promise.all(copying.map(({ over }) => over));
    return freeSources;
  }

  /** As `hold`, for a container of an earlier agent: its root only. */
  holdRoots(container: string, roots: readonly string[], made: UndoStack): void {
    this.#holders.set(container, { places: { roots, sources: [] }, making: undefined });
    made.push('hold of its places', () => void this.#holders.delete(container));
  }

  /**
   * Waits, outside the queue, until no container is being created from this path. `late`: deadline, in
   * `performance.now` time.
   *
   * @throws GuestError `precondition` after the deadline, or if the path is part of a container's root.
   */
  async free(path: string, late: number): Promise<void> {
    for (;;) {
      this.refuseRoot(path);
      const making = this.#makingOf(path);
      if (making === undefined) return;
      const left = late - performance.now();
      if (left <= 0)
        throw new GuestError(
          'precondition',
          `path ${quotedPath(path)} is part of a container that is being created: try again when it is`,
        );
      await within(making, left);
    }
  }

  /**
   * Runs a task that writes to this path, or replaces it. Returns false, without running it, while a container is being
   * created from the path.
   *
   * @throws GuestError `precondition` if the path is part of a container's root.
   */
  async copy(path: string, task: () => Promise<void>): Promise<boolean> {
    this.refuseRoot(path);
    if (this.#makingOf(path) !== undefined) return false;
    const [over, resolve] = pending();
    const copy: Copy = { path, over };
    this.#copies.add(copy);
    try {
      await task();
      return true;
    } finally {
      this.#copies.delete(copy);
      resolve();
    }
  }

  /** @throws GuestError `precondition` if the path is part of a container's root. */
  refuseRoot(path: string): void {
    const isOf = ([, { places }]: readonly [string, Holder]): boolean =>
      places.roots.some((root) => touches(root, path));
    const owner = [...this.#holders].find(isOf)?.[0];
    if (owner !== undefined)
      throw new GuestError(
        'precondition',
        `path ${quotedPath(path)} is part of the root of container ${owner}: copy before it is created`,
      );
  }

  #makingOf(path: string): Promise<void> | undefined {
    return [...this.#holders.values()].find(
      ({ making, places }) => making !== undefined && places.sources.some((source) => touches(source, path)),
    )?.making;
  }
}

function touches(place: string, path: string): boolean {
  return contains(place, path) || contains(path, place);
}

function pending(): readonly [promise: Promise<void>, resolve: () => void] {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return [promise, resolve];
}

async function within(making: Promise<void>, milliseconds: number): Promise<void> {
  const over = new AbortController();
  const late = delay(milliseconds, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([making, late]);
  over.abort();
}
