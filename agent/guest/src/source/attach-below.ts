import { fstatSync } from 'node:fs';
import {
  At,
  Descriptor,
  Directory,
  hasCode,
  type MountAttributeChange,
  MountTree,
  Open,
  type Syscalls,
  Unmount,
  UnsafePathError,
} from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly attachBelow: (args: MountBelow) => AttachedMount;
    /** Lent: the mount, the outer mount. */
    readonly detachBelow: (args: { readonly made: readonly string[] }) => void;
  }
}

/** A mount to attach in another one. Both are copies made by the agent. */
export interface MountBelow {
  /** For errors: `mount at "/data/x"`. */
  readonly named: string;
  /** The path of the outer copy, and its name in the request: `mount at "/data"`. */
  readonly outer: { readonly path: string; readonly named: string; readonly isReadOnly: boolean };
  /** Path relative to the outer mount. */
  readonly below: string;
  /** The path of the inner copy, with its submounts. */
  readonly source: string;
  /** Attributes for its topmost mount, and for all. */
  readonly attributes: { readonly top: MountAttributeChange; readonly all: MountAttributeChange };
}

/** A mount that was attached; the descriptors are open. */
export interface AttachedMount {
  /** The mount itself, and the outer one. */
  readonly tree: number;
  readonly place: number;
  /** The directories and files that were created for it, below the outer mount. */
  readonly made: readonly string[];
}

/**
 * Attaches a mount below another one that other programs may change at any time: no link is followed out of it, and the
 * mount is attached to the descriptor that was checked. A missing mount point is created, unless the outer mount is
 * read-only.
 */
export function attachBelow(mount: MountBelow, syscalls: Syscalls): AttachedMount {
  const { named, outer, below, source } = mount;
  const [place, made] = [openDirectory(outer.path, mount, syscalls), [] as string[]];
  const rollBack = (): void => removeMade(place, made);
  try {
    const copied = new Descriptor(syscalls, syscalls.openat(At.Cwd, source, Open.Path));
    try {
      const isDirectory = fstatSync(copied.fd).isDirectory();
      if (!outer.isReadOnly && !isThere(place, below)) makePlace(place, below, isDirectory, made);
      const tree = MountTree.copy(syscalls, copied.fd, { recursive: true });
      try {
        tree.change(mount.attributes.all, { recursive: true });
        tree.change(mount.attributes.top, { recursive: false });
        attachAt(place, below, isDirectory, tree);
        return { tree: tree.take(), place: place.take(), made };
      } catch (error) {
        tree.close();
        throw error;
      }
    } finally {
      copied.close();
    }
  } catch (error) {
    rollBack();
    place.close();
    throw explained(error, named, mount);
  }
}

function openDirectory(path: string, { named, outer }: MountBelow, syscalls: Syscalls): Directory {
  try {
    return Directory.open(syscalls, path);
  } catch (error) {
    if (!hasCode(error, 'ENOTDIR')) throw error;
    throw new GuestError('invalid', `${named}: the ${outer.named} is a file`, { cause: error });
  }
}

function attachAt(place: Directory, below: string, isDirectory: boolean, tree: MountTree): void {
  const target = place.reached(below);
  try {
    if (fstatSync(target.fd).isDirectory() !== isDirectory)
      throw new UnsafePathError(
        below,
        `is ${isDirectory ? 'not a directory' : 'a directory'}, unlike the source`,
      );
    tree.attach(target.fd);
  } finally {
    target.close();
  }
}

/** Reports whether a path exists, also through links: a key of a configmap is a link within its volume. */
function isThere(place: Directory, below: string): boolean {
  try {
    place.reached(below).close();
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Creates the missing directories of a path, and records each. */
function makePlace(place: Directory, below: string, isDirectory: boolean, made: string[]): void {
  const names = below.split('/');
  names.forEach((_, index) => {
    const path = names.slice(0, index + 1).join('/');
    if (place.stat(path) !== undefined) return;
    if (isDirectory || index < names.length - 1) place.makeDirectory(path, { mode: 0o755 }).close();
    else place.file(path, Open.WriteOnly | Open.Create, 0o644).close();
    made.push(path);
  });
}

/** Removes the created directories and files. Keeps those that are not empty, or were replaced. */
function removeMade(place: Directory, made: readonly string[]): void {
  for (const path of made.toReversed()) {
    try {
      const found = place.stat(path);
      if (found?.isDirectory() === true) place.removeDirectory(path);
      else if (found?.size === 0) place.unlink(path);
    } catch (error) {
      const isOthers = hasCode(error, 'ENOENT', 'ENOTEMPTY', 'EBUSY', 'ENOTDIR', 'EISDIR');
      if (!isOthers && !(error instanceof UnsafePathError)) throw error;
    }
  }
}

function explained(error: unknown, named: string, { outer, below }: MountBelow): unknown {
  const within = `in the ${outer.named}, ${quotedPath(below)}`;
  if (error instanceof UnsafePathError)
    return new GuestError('refused', `${named}: in the ${outer.named}, ${error.message}`, { cause: error });
  if (hasCode(error, 'ENOENT'))
    return new GuestError(
      'invalid',
      `${named}: ${within} does not exist${outer.isReadOnly ? ', and that mount is read-only; help: create it in the volume' : ''}`,
      { cause: error },
    );
  if (hasCode(error, 'ENOTDIR', 'EROFS'))
    return new GuestError('invalid', `${named}: ${within} cannot be created: ${String(error)}`, {
      cause: error,
    });
  return error;
}

/** Detaches an attached mount, by its descriptors, and removes the directories created for it. */
export function detachBelow(
  tree: Descriptor,
  outer: Descriptor,
  made: readonly string[],
  syscalls: Syscalls,
): void {
  syscalls.umount2(`/proc/self/fd/${tree.fd}`, Unmount.Detach);
  const place = Directory.of(syscalls, outer.duplicate());
  try {
    removeMade(place, made);
  } finally {
    place.close();
  }
}
