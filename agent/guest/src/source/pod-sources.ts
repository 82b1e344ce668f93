import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Syscalls, unmountTree } from '@kata-agent/linux';
import type { HostMedia } from '../media/host-media.js';
import type { OpenSource } from './open-source.js';

/**
 * Sources with Kubernetes mount propagation `Bidirectional` or `HostToContainer`, which are for privileged containers.
 * Each is copied once, into its own peer group, so that a mount which a container makes there reaches the pod's other
 * containers and nothing else of the guest (S30). Unmounted with the sandbox.
 */
export class PodSources {
  readonly #directory: string;
  readonly #syscalls: Syscalls;
  readonly #media: HostMedia;
  /** By place: containers that are created at the same time share one copy. */
  readonly #copying: Map<string, Promise<void>> = new Map();

  constructor(
    directory: string,
    { syscalls, media }: { readonly syscalls: Syscalls; readonly media: HostMedia },
  ) {
    this.#directory = directory;
    this.#syscalls = syscalls;
    this.#media = media;
  }

  /**
   * Returns the path of the copy, which is created if there is none. Closes the source. Throws `exists` if the copy is
   * of another source.
   */
  async use(source: OpenSource): Promise<string> {
    const { path, isDirectory, descriptor } = source;
    try {
      const name = createHash('sha256').update(path).digest('hex').slice(0, 32);
      const place = join(this.#directory, name);
      const copied = (this.#copying.get(place) ?? Promise.resolve())
        // Of another container.
        .catch(() => undefined)
        .then(() => this.#media.run('copyPodSource', { place, named: path, isDirectory }, [descriptor.fd]));
      this.#copying.set(place, copied);
      await copied.finally(() => {
        if (this.#copying.get(place) === copied) this.#copying.delete(place);
      });
      return place;
    } finally {
      descriptor.close();
    }
  }

  /** Unmounts all copies, with the mounts that containers made in them. */
  clear(): void {
    if (!existsSync(this.#directory)) return;
    unmountTree(this.#syscalls, this.#directory);
    rmSync(this.#directory, { recursive: true });
  }
}
