import { join } from 'node:path';
import type { PlaceOwner, UsedSource } from './place-owner.js';

/** A removed container: its id, and the places that only it had, where files that it wrote may still be (S29). */
export interface RemovedOwner {
  readonly id: string;
  readonly sources: readonly UsedSource[];
}

/**
 * The ids and the places of a sandbox's removed containers. There can be many, and each create asks about them: a root where Kata's
 * runtimes put it follows from the id, so that only other places are kept one by one.
 */
export class RemovedPlaces {
  /** The directories in which the runtimes have `ID/rootfs`. */
  readonly #parents: readonly string[];
  /** By id: the parents in which it had its root; undefined: it had no place of its own. */
  readonly #had: Map<string, readonly string[] | undefined> = new Map();
  /** Number of containers that had their roots in each parent. */
  readonly #roots: Map<string, number> = new Map();
  readonly #elsewhere: RemovedOwner[] = [];

  /** `kata`: Kata's directory. */
  constructor(kata: string) {
    this.#parents = [join(kata, 'shared/containers'), kata];
  }

  /** Adds a container; replaces an earlier one with the same id. */
  add({ id, sources }: RemovedOwner): void {
    if (this.#had.has(id)) this.#drop(id);
    const parents = this.#parents.filter((each) => sources.some((source) => isRoot(source, each, id)));
    const elsewhere = sources.filter((source) => !parents.some((each) => isRoot(source, each, id)));
    this.#had.set(id, sources.length > 0 ? parents : undefined);
    for (const parent of parents) this.#roots.set(parent, this.#rootsIn(parent) + 1);
    if (elsewhere.length > 0) this.#elsewhere.push({ id, sources: elsewhere });
  }

  /** Reports whether a container had this id. */
  had(id: string): boolean {
    return this.#had.has(id);
  }

  /** Reports whether a container of this id had places of its own. */
  hadPlaces(id: string): boolean {
    return this.#had.get(id) !== undefined;
  }

  /**
   * Returns the places of all but one container. One root stands for those of all in the same directory, with `*` for their ids: a
   * path below one of them has its id, and a path above one of them is above all.
   */
  owners({ butOf }: { readonly butOf: string }): readonly PlaceOwner[] {
    const own = this.#had.get(butOf) ?? [];
    const roots = this.#parents
      .filter((parent) => this.#rootsIn(parent) > (own.includes(parent) ? 1 : 0))
      .map((parent) => ({
        named: 'a container that was removed',
        sources: [{ path: rootOf('*', parent), use: 'own' as const, isDirectory: true }],
      }));
    const elsewhere = this.#elsewhere
      .filter(({ id }) => id !== butOf)
      .map(({ id, sources }) => ({ named: `container ${id}, which was removed`, sources }));
    return [...roots, ...elsewhere];
  }

  clear(): void {
    this.#had.clear();
    this.#roots.clear();
    this.#elsewhere.length = 0;
  }

  #drop(id: string): void {
    for (const parent of this.#had.get(id) ?? []) this.#roots.set(parent, this.#rootsIn(parent) - 1);
    const at = this.#elsewhere.findIndex((each) => each.id === id);
    if (at >= 0) this.#elsewhere.splice(at, 1);
  }

  #rootsIn(parent: string): number {
    return this.#roots.get(parent) ?? 0;
  }
}

function isRoot({ path, use, isDirectory }: UsedSource, parent: string, id: string): boolean {
  return use === 'own' && isDirectory && path === rootOf(id, parent);
}

function rootOf(id: string, parent: string): string {
  return join(parent, id, 'rootfs');
}
