import { createHash } from 'node:crypto';
import { existsSync, fstatSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Directory, MountFlag, mounts, MountTree, type Syscalls, unmountTree } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quoted } from './clean-path.js';
import type { OpenSource } from './open-source.js';

/**
 * Sources whose mounts the containers of a pod show each other: Kubernetes' mount propagation `Bidirectional` and
 * `HostToContainer`, which are for privileged containers. Each is copied once, into a peer group of its own, so that what a
 * container mounts there reaches the pod's other containers and nothing else of the guest (S30). They go with the sandbox.
 */
export class PodSources {
  readonly #directory: string;
  readonly #syscalls: Syscalls;

  constructor(directory: string, syscalls: Syscalls) {
    this.#directory = directory;
    this.#syscalls = syscalls;
  }

  /** The path of the copy, which is made when there is none. Closes the source. Throws `exists` for another one there. */
  use(source: OpenSource): string {
    try {
      const name = createHash('sha256').update(source.path).digest('hex').slice(0, 32);
      const place = join(this.#directory, name);
      if (!existsSync(place)) this.#copy(source, name);
      else if (!isSame(source, place))
        throw new GuestError(
          'exists',
          `source ${quoted(source.path)} is not the one that the pod shares under this path`,
        );
      return place;
    } finally {
      source.descriptor.close();
    }
  }

  /** Takes all of them back, with what containers have mounted in them. */
  clear(): void {
    if (!existsSync(this.#directory)) return;
    unmountTree(this.#syscalls, this.#directory);
    rmSync(this.#directory, { recursive: true });
  }

  #copy(source: OpenSource, name: string): void {
    if (!source.isDirectory)
      throw new GuestError(
        'invalid',
        `source ${quoted(source.path)} is not a directory: nothing can be mounted in it`,
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
