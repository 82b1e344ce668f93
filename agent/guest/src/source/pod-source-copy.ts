import { existsSync, fstatSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Descriptor, Directory, MountFlag, mounts, MountTree, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Lent: the source. */
    readonly copyPodSource: (args: PodSourceCopy) => void;
  }
}

/** The copy of a source that the pod shares. */
export interface PodSourceCopy {
  /** An absolute path in the agent's state. */
  readonly place: string;
  /** For messages. */
  readonly named: string;
  readonly isDirectory: boolean;
}

/** Creates the copy of a source, in a peer group of its own, if there is none. Throws `exists` if the copy is of another source. */
export function copyPodSource(copy: PodSourceCopy, source: Descriptor, syscalls: Syscalls): void {
  const { place, named } = copy;
  if (!existsSync(place)) makeCopy(copy, source, syscalls);
  else if (!isSame(source, place))
    throw new GuestError(
      'exists',
      `source ${quotedPath(named)} is not the source that the pod shares under this path`,
    );
}

function makeCopy(
  { place, named, isDirectory }: PodSourceCopy,
  source: Descriptor,
  syscalls: Syscalls,
): void {
  if (!isDirectory)
    throw new GuestError(
      'invalid',
      `source ${quotedPath(named)} is not a directory: nothing can be mounted in it`,
    );
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const parent = Directory.open(syscalls, dirname(place));
  const target = parent.place(basename(place));
  try {
    const tree = MountTree.copy(syscalls, source.fd, { recursive: true });
    try {
      tree.setPropagation(MountFlag.Shared);
      tree.attach(target.fd);
    } finally {
      tree.close();
    }
  } catch (error) {
    rmdirSync(place);
    throw error;
  } finally {
    target.close();
    parent.close();
  }
}

function isSame(source: Descriptor, place: string): boolean {
  const [there, wanted] = [statSync(place), fstatSync(source.fd)];
  const isMounted = mounts().some(({ target }) => target === place);
  return isMounted && there.dev === wanted.dev && there.ino === wanted.ino;
}
