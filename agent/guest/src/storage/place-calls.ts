import { statfsSync } from 'node:fs';
import {
  type Descriptor,
  detachMountHere,
  type Directory,
  hasCode,
  type MountCall,
  MountFlag,
  mounts,
  MountTree,
  Open,
  type Syscalls,
} from '@kata-agent/linux';
import type { GuestPaths } from '../paths/guest-paths.js';

/** A place that was opened: the receiver owns the descriptor. */
export interface OpenedPlace {
  readonly fd: number;
  readonly made: readonly Made[];
}

/** A place where something was mounted, below Kata's directory, and what was created for it. */
export interface MountedPlace {
  readonly kata: string;
  readonly place: string;
  readonly made: readonly Made[];
}

/** A place below Kata's directory. */
interface KataPlace {
  /** Path of Kata's directory. */
  readonly kata: string;
  readonly place: string;
}

/** Owner and permissions of a directory. */
interface PlaceAttributes {
  readonly place: string;
  readonly group?: number | undefined;
  /** Absent: as it is, with `added`. */
  readonly mode?: number | undefined;
  readonly added?: number | undefined;
}

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Mounts at a directory. Lent: Kata's directory, then what the options name by `lentPath`. */
    readonly mountDirectory: (args: {
      readonly place: string;
      readonly calls: readonly MountCall[];
    }) => MountedPlace;
    /** Lent: Kata's directory, the source. */
    readonly bindPlace: (args: { readonly place: string; readonly bind: Bind }) => MountedPlace;
    /** Changes the flags of a mount. Lent: Kata's directory. */
    readonly remount: (args: { readonly place: string; readonly flags: number }) => void;
    /** Opens a directory, which is created if it is missing. Lent: Kata's directory. */
    readonly openPlace: (args: { readonly place: string }) => OpenedPlace;
    /** The same for a file, for writing. */
    readonly openFilePlace: (args: { readonly place: string }) => OpenedPlace;
    /** Lent: Kata's directory. */
    readonly makeDirectories: (args: { readonly place: string }) => readonly Made[];
    /** Lent: Kata's directory. */
    readonly setAttributes: (args: PlaceAttributes) => void;
    /** Returns the paths that do not exist. Lent: Kata's directory. */
    readonly missingPlaces: (args: { readonly places: readonly string[] }) => readonly string[];
    readonly removeMade: (args: { readonly kata: string; readonly made: readonly Made[] }) => void;
    readonly removeIfEmpty: (args: { readonly kata: string; readonly places: readonly string[] }) => void;
    readonly unmountPlace: (args: KataPlace) => void;
  }
}

/** What was created for a mount point, oldest first. */
export interface Made {
  readonly kind: 'directory' | 'file';
  /** Below Kata's directory. */
  readonly path: string;
}

/** A place in Kata's directory, where the host may have mounted its share: each of these calls may wait for it. */
export interface Place {
  readonly syscalls: Syscalls;
  /** Kata's directory, open. */
  readonly base: Directory;
  /** The path below it. */
  readonly place: string;
}

/** Creates the missing directories of a path, and the last one. Returns them; on failure none is left. */
export function makeDirectories({ base, place }: Pick<Place, 'base' | 'place'>): readonly Made[] {
  const names = place.split('/').filter((name) => name !== '');
  const made: Made[] = [];
  try {
    names.forEach((_, index) => {
      const path = names.slice(0, index + 1).join('/');
      if (base.stat(path) !== undefined) return;
      made.push({ kind: 'directory', path });
      base.makeDirectory(path, { mode: 0o755 }).close();
    });
    return made;
  } catch (error) {
    removeMade(base, made);
    throw error;
  }
}

/** Removes what was created, the newest first; keeps directories that others use. */
export function removeMade(base: Directory, made: readonly Made[]): void {
  for (const { kind, path } of made.toReversed()) {
    if (kind === 'file') base.unlink(path);
    else removeIfEmpty(base, path);
  }
}

function removeIfEmpty(base: Directory, path: string): void {
  try {
    base.removeDirectory(path);
  } catch (error) {
    // Not empty, or removed with the bundle.
    if (!hasCode(error, 'ENOTEMPTY', 'EBUSY', 'ENOENT')) throw error;
  }
}

/** Mounts at a directory, which is created if it is missing; later calls change the mount. On failure nothing is left. */
export function mountDirectory(place: Place, calls: readonly MountCall[]): readonly Made[] {
  const { base, syscalls } = place;
  const made = makeDirectories(place);
  try {
    const [first, ...rest] = calls;
    if (first === undefined) return made;
    withDirectory(place, (target) => perform(syscalls, first, target));
    try {
      // The descriptor above refers to the directory under the mount; the mount itself needs a second open.
      withDirectory(place, (target) => {
        for (const call of rest) perform(syscalls, call, target);
      });
    } catch (error) {
      unmountPlaceNow(place);
      throw error;
    }
    return made;
  } catch (error) {
    removeMade(base, made);
    throw error;
  }
}

function withDirectory({ base, place }: Place, use: (target: string) => void): void {
  const directory = base.directory(place);
  try {
    use(directory.path);
  } finally {
    directory.close();
  }
}

function perform(syscalls: Syscalls, { source, type, flags, data }: MountCall, target: string): void {
  syscalls.mount(source, target, type, flags, data);
}

/** A bind mount. */
export interface Bind {
  readonly isDirectory: boolean;
  readonly recursive: boolean;
  /** `MountAttribute` bits. */
  readonly attributes: number;
}

/** Bind mounts an open file or directory at a place, which is created if it is missing. On failure nothing is left. */
export function bindPlace(
  place: Place,
  source: Descriptor,
  { isDirectory, recursive, attributes }: Bind,
): readonly Made[] {
  const { base, syscalls } = place;
  const made = isDirectory ? makeDirectories(place) : makeFile(place);
  try {
    const tree = MountTree.copy(syscalls, source.fd, { recursive });
    try {
      tree.restrict(attributes);
      const target = isDirectory ? base.directory(place.place) : base.file(place.place, Open.ReadOnly);
      try {
        tree.attach(target.fd);
        try {
          // Attaching below a shared mount makes the copy shared.
          tree.setPropagation(MountFlag.Private);
        } catch (error) {
          unmountPlaceNow(place);
          throw error;
        }
      } finally {
        target.close();
      }
    } finally {
      tree.close();
    }
    return made;
  } catch (error) {
    removeMade(base, made);
    throw error;
  }
}

function makeFile({ base, place }: Place): readonly Made[] {
  const made = makeDirectories({ base, place: parentPath(place) });
  if (base.stat(place) !== undefined) return made;
  try {
    base.file(place, Open.ReadWrite | Open.Create | Open.Exclusive, 0o644).close();
    return [...made, { kind: 'file', path: place }];
  } catch (error) {
    removeMade(base, made);
    throw error;
  }
}

/** Unmounts a place, by descriptor: a directory of the path may have been replaced by a link. Does nothing without a mount. */
export function unmountPlaceNow({ base, place, syscalls }: Place): void {
  const parent = parentPath(place);
  const name = place.slice(place.lastIndexOf('/') + 1);
  const directory = parent === '' ? undefined : base.directory(parent);
  try {
    detachMountHere(syscalls, `${(directory ?? base).path}/${name}`);
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'ENOENT')) throw error;
  } finally {
    directory?.close();
  }
}

/** Removes an empty directory, or the empty file that is the mount point of a file. */
export function removeIfEmptyPlace(base: Directory, path: string): void {
  try {
    const found = base.stat(path);
    if (found === undefined) return;
    if (found.isFile() && found.size === 0) base.unlink(path);
    else base.removeDirectory(path);
  } catch (error) {
    // Not empty, or removed with the bundle.
    if (!hasCode(error, 'ENOTEMPTY', 'EBUSY', 'ENOENT', 'ENOTDIR')) throw error;
  }
}

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly touchMounts: (args: { readonly kata: string }) => void;
  }
}

/**
 * Calls stat on each mount of the shared directory: virtiofsd releases files that the host has removed once the guest
 * asks for them and gets an error (kata-containers issue 6455). Errors are expected.
 */
export function touchMounts({ kata }: Pick<GuestPaths, 'kata'>): void {
  const shared = `${kata}/shared/containers/`;
  const places = mounts().filter(({ target }) => `${target}/`.startsWith(shared));
  for (const { target } of places) {
    try {
      statfsSync(target);
    } catch (error) {
      ignoreGone(error);
    }
  }
}

function ignoreGone(error: unknown): void {
  if (!hasCode(error, 'ENOENT', 'ESTALE', 'ENOTCONN', 'EIO', 'EACCES', 'ENOTDIR')) throw error;
}

/** Returns the directory above a path that is relative to a base; empty: the base. */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}
