import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GuestError } from '../guest-error.js';
import { contains } from '../paths/clean-path.js';
import type { UndoStack } from '../undo-stack.js';
import { quotedPath } from '../quoted.js';
import type { Storage } from '../request/actions.js';
import type { OciSpec } from '../request/oci-spec.js';
import { bindLocalVolumes } from '../storage/drivers/local.js';
import { isBind } from '../spec/mounts.js';

/** Clean source paths of a container. */
export interface ReservedPaths {
  /** Sources of its root. */
  readonly roots: readonly string[];
  /** Sources of its mounts and storages. */
  readonly sources: readonly string[];
}

interface Reservation {
  readonly paths: ReservedPaths;
  /** Resolves when the sources are released; undefined: they are not reserved. */
  creating: Promise<void> | undefined;
}

/**
 * How long a create waits for copies that came before it, in ms. They may wait for a change of the whole sandbox that waits for
 * this create, so that it continues without them.
 */
const createWaitsMs = 2_000;

interface Copy {
  readonly path: string;
  readonly over: Promise<void>;
}

/**
 * Keeps CopyFile from writing where the OCI runtime works: a container's root is reserved as long as the container exists,
 * its other sources while it is being created. Afterwards these may be written again: Kata's runtimes propagate changes
 * of secrets and configmaps by CopyFile.
 *
 * Not the table of `OwnPlaces`, which has opened sources with their uses: a reservation begins before anything is opened, so
 * its paths are the request's paths, and the whole source of each storage there.
 */
export class PathReservations {
  readonly #owners: Map<string, Reservation> = new Map();
  readonly #copies: Set<Copy> = new Set();
  /** Copies that wait for the end of a create. */
  readonly #waiting: Set<Copy> = new Set();

  /** Reserves the paths of a container, once running copies to them have finished. Pushes their release to `made`. */
  async reserve(container: string, paths: ReservedPaths, made: UndoStack): Promise<() => void> {
    const ahead = [...this.#waiting].filter(({ path }) =>
      paths.sources.some((reserved) => touches(reserved, path)),
    );
    if (ahead.length > 0) await within(Promise.all(ahead.map(({ over }) => over)), createWaitsMs);
    const [creating, resolve] = pending();
    const reservation: Reservation = { paths, creating };
    this.#owners.set(container, reservation);
    const freeSources = (): void => {
      reservation.creating = undefined;
      resolve();
    };
    made.push('reservation of its paths', () => {
      freeSources();
      if (this.#owners.get(container) === reservation) this.#owners.delete(container);
    });
    const all = [...paths.roots, ...paths.sources];
    const copying = [...this.#copies].filter(({ path }) => all.some((reserved) => touches(reserved, path)));
    await Promise.all(copying.map(({ over }) => over));
    return freeSources;
  }

  /** As `reserve`, for a container of an earlier agent: its root only. */
  reserveRoots(container: string, roots: readonly string[], made: UndoStack): void {
    this.#owners.set(container, { paths: { roots, sources: [] }, creating: undefined });
    made.push('reservation of its paths', () => void this.#owners.delete(container));
  }

  /**
   * Runs a copy, outside the queue, once no container is being created from its path: an update of a config map that meets
   * a create is late, and not lost. A create that begins meanwhile waits for the copy, for a short time, so that creates
   * that overlap do not keep it waiting.
   *
   * @param copied makes the copy by `copy`, and returns what that returns.
   * @param signal ends the wait: the call was cancelled, or its deadline has passed.
   * @throws GuestError `precondition` if the path is part of a container's root.
   */
  async copyWhenFree(
    path: string,
    copied: () => Promise<boolean>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    this.refuseRoot(path);
    if (this.#creatingOf(path) === undefined && (await copied())) return;
    const [over, resolve] = pending();
    const waiting: Copy = { path, over };
    this.#waiting.add(waiting);
    try {
      do {
        for (;;) {
          this.refuseRoot(path);
          const creating = this.#creatingOf(path);
          if (creating === undefined) break;
          await orAborted(creating, signal);
        }
      } while (!(await copied()));
    } finally {
      this.#waiting.delete(waiting);
      resolve();
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
    if (this.#creatingOf(path) !== undefined) return false;
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
    const isOf = ([, { paths }]: readonly [string, Reservation]): boolean =>
      paths.roots.some((root) => touches(root, path));
    const owner = [...this.#owners].find(isOf)?.[0];
    if (owner !== undefined)
      throw new GuestError(
        'precondition',
        `path ${quotedPath(path)} is part of the root of container ${owner}: copy before it is created`,
      );
  }

  #creatingOf(path: string): Promise<void> | undefined {
    return [...this.#owners.values()].find(
      ({ creating, paths }) =>
        creating !== undefined && paths.sources.some((source) => touches(source, path)),
    )?.creating;
  }
}

function touches(reserved: string, path: string): boolean {
  return contains(reserved, path) || contains(path, reserved);
}

function pending(): readonly [promise: Promise<void>, resolve: () => void] {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return [promise, resolve];
}

async function within(done: Promise<unknown>, milliseconds: number): Promise<void> {
  const over = new AbortController();
  const late = delay(milliseconds, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([done, late]);
  over.abort();
}

async function orAborted(done: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return done;
  signal.throwIfAborted();
  const over = new AbortController();
  const aborted = once(signal, 'abort', { signal: over.signal }).catch(() => undefined);
  await Promise.race([done, aborted]);
  over.abort();
  signal.throwIfAborted();
}

/** The parts of a create request that determine the container's places. */
interface Requested {
  readonly id: string;
  readonly spec: OciSpec;
  readonly storages: readonly Storage[];
}

/**
 * Returns the sources of a container from its request: the paths that it names, and the sources of storages among
 * these. Pure. May include paths that will be refused.
 *
 * @param inPlace the storages that are mounted already.
 * @param kata Kata's directory.
 */
export function reservedPathsOf(
  { id, spec, storages }: Requested,
  inPlace: readonly Storage[],
  kata: string,
): ReservedPaths {
  const all = [...storages, ...inPlace];
  const own = join(kata, id, 'rootfs');
  const root = storages.some(({ mountPoint }) => cleaned(mountPoint) === own) ? own : (spec.root?.path ?? '');
  // An emptyDir of the Go runtime becomes a bind mount, with its type `local` alone too.
  const { mounts = [] } = bindLocalVolumes(spec, storages);
  const binds = mounts.filter(isBind).map(({ source = '' }) => source);
  return {
    roots: madeOf([root], all),
    sources: madeOf([...binds, ...storages.flatMap(sourcesOf)], all),
  };
}

/** Returns these paths with the sources of storages at, above and below them, transitively. */
function madeOf(paths: readonly string[], storages: readonly Storage[]): readonly string[] {
  const found = new Set<string>();
  const left = paths.filter((path) => path.startsWith('/')).map(cleaned);
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (found.has(path)) continue;
    const place = path;
    found.add(place);
    const there = storages.filter(({ mountPoint }) => {
      const point = cleaned(mountPoint);
      return contains(point, place) || contains(place, point);
    });
    left.push(...there.flatMap(sourcesOf).map(cleaned));
  }
  return [...found];
}

/** Returns the absolute paths that a storage names: its source, and overlay layers in its options. */
function sourcesOf({ source, options, driverOptions }: Storage): readonly string[] {
  const words = [...options, ...driverOptions].flatMap((option) => option.split(/[=:,]/));
  return [source, ...words].filter((word) => word.startsWith('/'));
}

function cleaned(path: string): string {
  return `/${path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/')}`;
}
