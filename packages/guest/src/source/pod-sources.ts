import { createHash } from 'node:crypto';
import { existsSync, fstatSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Directory, MountFlag, mounts, MountTree, type Syscalls, unmountTree } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';

import type { OpenSource } from './open-source.js';
import { quotedPath } from '../quoted.js';

/**
 * Sources with Kubernetes mount propagation `Bidirectional` or `HostToContainer`, which are for privileged containers.
 * Each is copied once, into its own peer group, so that a mount which a container makes there reaches the pod's other
 * containers and nothing else of the guest (S30). Unmounted with the sandbox.
 */
export class PodSources {
  readonly #directory: string;
  readonly #syscalls: Syscalls;

  constructor(directory: string, syscalls: Syscalls) {
    this.#directory = directory;
    this.#syscalls = syscalls;
  }

  /**
   * Returns the path of the copy, which is created if there is none. Closes the source. Throws `exists` if the copy is
   * of another source.
   */
  use(source: OpenSource): string {
    try {
      const name = createHash('sha256').update(source.path).digest('hex').slice(0, 32);
      const place = join(this.#directory, name);
      if (!existsSync(place)) this.#copy(source, name);
      else if (!isSame(source, place))
        throw new GuestError(
          'exists',
          `source ${quotedPath(source.path)} is not the source that the pod shares under this path`,
        );
      return place;
    } finally {
      source.descriptor.close();
    }
  }

  /** Unmounts all copies, with the mounts that containers made in them. */
  clear(): void {
    if (!existsSync(this.#directory)) return;
    unmountTree(this.#syscalls, this.#directory);
    rmSync(this.#directory, { recursive: true });
  }

  #copy(source: OpenSource, name: string): void {
    if (!source.isDirectory)
      throw new GuestError(
        'invalid',
        `source ${quotedPath(source.path)} is not a directory: nothing can be mounted in it`,
      );
    mkdirSync(join(this.#directory, name), { recursive: true, mode: 0o700 });
    const parent = Directory.open(this.#syscalls, this.#directory);
    const target = parent.place(name);
    try {
      const tree = MountTree.copy(this.#syscalls, source.descriptor.fd, { recursive: true });
      try {
        tree.setPropagation(MountFlag.Shared);
        tree.attach(target.fd);
      } finally {
        tree.close();
      }
    } finally {
      target.close();
      parent.close();
    }
  }
}

function isSame({ descriptor }: OpenSource, place: string): boolean {
  const [there, wanted] = [statSync(place), fstatSync(descriptor.fd)];
  const isMounted = mounts().some(({ target }) => target === place);
  return isMounted && there.dev === wanted.dev && there.ino === wanted.ino;
}
