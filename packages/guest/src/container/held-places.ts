import { setTimeout as delay } from 'node:timers/promises';
import { GuestError } from '../guest-error.js';
import { contains, quoted } from '../source/clean-path.js';
import type { UndoStack } from './undo-stack.js';

/** Clean paths that a container is made of. */
export interface ContainerPlaces {
  /** What its root is made of. */
  readonly roots: readonly string[];
  /** What its mounts and storages are made of. */
  readonly sources: readonly string[];
}

interface Holder {
  readonly places: ContainerPlaces;
  /** Resolves when the sources are free again; undefined: they are. */
  making: Promise<void> | undefined;
}

interface Copy {
  readonly path: string;
  readonly over: Promise<void>;
}

/**
 * Keeps CopyFile away from where the OCI runtime works: a container's root is held as long as there is the container, its other
 * sources while it is made. Afterwards these may be written again, since Kata's runtimes pass on changes of secrets and
 * config maps so.
 */
export class HeldPlaces {
  readonly #holders: Map<string, Holder> = new Map();
  readonly #copies: Set<Copy> = new Set();

  /** Holds the places of a container, once what is being copied there is over. Pushes their release to `made`. */
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

  /** As `hold`, of a container that an earlier agent had made: its root alone. */
  holdRoots(container: string, roots: readonly string[], made: UndoStack): void {
    this.#holders.set(container, { places: { roots, sources: [] }, making: undefined });
    made.push('hold of its places', () => void this.#holders.delete(container));
  }

  /** Waits, without a turn, until no container is being made of this path; not for ever, and not if it is part of a root. */
  async free(path: string, milliseconds: number): Promise<void> {
    const late = performance.now() + milliseconds;
    for (;;) {
      const making = this.#makingOf(path);
      const left = late - performance.now();
      if (making === undefined || left <= 0 || this.#rootOwner(path) !== undefined) return;
      await within(making, left);
    }
  }

  /**
   * Runs a task that writes to this path, or replaces it.
   *
   * @throws GuestError `precondition` when the path is part of a container's root, or of one that is being made.
   */
  async copy<Result>(path: string, task: () => Promise<Result>): Promise<Result> {
    const owner = this.#rootOwner(path);
    if (owner !== undefined)
      throw new GuestError(
        'precondition',
        `path ${quoted(path)} is part of the root of container ${owner}: copy before it is created`,
      );
    if (this.#makingOf(path) !== undefined)
      throw new GuestError(
        'precondition',
        `path ${quoted(path)} is part of a container that is being created: try again when it is`,
      );
    const [over, resolve] = pending();
    const copy: Copy = { path, over };
    this.#copies.add(copy);
    try {
      return await task();
    } finally {
      this.#copies.delete(copy);
      resolve();
    }
  }

  #rootOwner(path: string): string | undefined {
    const isOf = ([, { places }]: readonly [string, Holder]): boolean =>
      places.roots.some((root) => touches(root, path));
    return [...this.#holders].find(isOf)?.[0];
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
