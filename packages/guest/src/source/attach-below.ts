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
  UnsafePathError,
} from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quoted } from './clean-path.js';

/** A mount that is attached in another one. Both are copies of the agent's own. */
export interface MountBelow {
  /** For errors: `mount at "/data/x"`. */
  readonly named: string;
  /** The path of the copy that it is attached in, and what the request calls that: `mount at "/data"`. */
  readonly outer: { readonly path: string; readonly named: string; readonly isReadOnly: boolean };
  /** Where, relative to the outer one. */
  readonly below: string;
  /** The path of the copy that is attached, with all that is mounted in it. */
  readonly source: string;
  /** For its topmost mount, and for all. */
  readonly attributes: { readonly top: MountAttributeChange; readonly all: MountAttributeChange };
}

/** One of `detach` and `release` is called, once. */
export interface AttachedMount {
  /** Takes the mount back, with what was made for it. */
  detach(): void;
  /** The mount stays. */
  release(): void;
}

/**
 * Attaches a mount below another one that others may change at any time: no link leads out, and what was
 * found is where it is attached. A missing place is made, unless the outer mount is read-only.
 */
export function attachBelow(mount: MountBelow, syscalls: Syscalls): AttachedMount {
  const { named, outer, below, source } = mount;
  const [place, made] = [openDirectory(outer.path, mount, syscalls), [] as string[]];
  const takeBack = (): void => removeMade(place, made);
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
        return {
          detach: () => {
            try {
              tree.detach();
              takeBack();
            } finally {
              tree.close();
              place.close();
            }
          },
          release: () => {
            tree.close();
            place.close();
          },
        };
      } catch (error) {
        tree.close();
        throw error;
      }
    } finally {
      copied.close();
    }
  } catch (error) {
    takeBack();
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
        `is ${isDirectory ? 'no directory' : 'a directory'}, unlike the source`,
      );
    tree.attach(target.fd);
  } finally {
    target.close();
  }
}

/** A config map's key is a link to another name in its volume, and may be what a mount covers. */
function isThere(place: Directory, below: string): boolean {
  try {
    place.reached(below).close();
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Makes what is missing of a way down, and adds each part that it has made. */
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

/** What somebody has put something in, or has replaced, stays. */
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
  const within = `in the ${outer.named}, ${quoted(below)}`;
  if (error instanceof UnsafePathError)
    return new GuestError('refused', `${named}: in the ${outer.named}, ${error.message}`, { cause: error });
  if (hasCode(error, 'ENOENT'))
    return new GuestError(
      'invalid',
      `${named}: ${within} is not there${outer.isReadOnly ? ', and that mount is read-only: make it in the volume' : ''}`,
      { cause: error },
    );
  if (hasCode(error, 'ENOTDIR', 'EROFS'))
    return new GuestError('invalid', `${named}: ${within} cannot be made: ${String(error)}`, {
      cause: error,
    });
  return error;
}
