import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, type Syscalls, type ThreadNamespace, visitNamespace } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** Namespace types of a process, by their names in /proc. */
const types = ['mnt', 'pid', 'ipc', 'uts', 'net', 'cgroup', 'user'] as const;

interface Pinned {
  readonly type: string;
  readonly descriptor: number;
  readonly inode: bigint;
}

/**
 * The namespaces that a container was created with. The OCI runtime has an exec join those of the first process, which
 * can move itself to others: the exec would then run with mounts and id mappings that the container chose. Open
 * descriptors keep the kernel from reusing an inode number while it is compared.
 */
export class PinnedNamespaces {
  readonly #pinned: readonly Pinned[];
  readonly #directory: string;

  private constructor(pinned: readonly Pinned[], directory: string) {
    this.#pinned = pinned;
    this.#directory = directory;
  }

  /** Opens those of a process that waits for `start`: no code of the container has run in it. */
  static open(pid: number, proc: string): PinnedNamespaces {
    const directory = join(proc, String(pid), 'ns');
    const open: [type: string, descriptor: number][] = [];
    try {
      for (const type of types) {
        const descriptor = openIfThere(join(directory, type));
        if (descriptor !== undefined) open.push([type, descriptor]);
      }
      const pinned = open.map(([type, descriptor]) => {
        const { ino: inode } = fstatSync(descriptor, { bigint: true });
        return { type, descriptor, inode };
      });
      return new PinnedNamespaces(pinned, directory);
    } catch (error) {
      for (const [, descriptor] of open) closeSync(descriptor);
      throw error;
    }
  }

  /** Throws if the first process has moved to other namespaces. Does not report that it has ended. */
  check(container: string): void {
    for (const { type, inode } of this.#pinned) {
      const now = inodeOf(join(this.#directory, type));
      if (now !== undefined && now !== inode) {
        throw new GuestError(
          'refused',
          `container ${container}: its first process has moved to another ${type} namespace, so no exec is started in it`,
        );
      }
    }
  }

  /**
   * Runs a task while this thread is in one of them. Returns false, without running it, if it is the agent's own
   * namespace too.
   */
  visit(syscalls: Syscalls, type: ThreadNamespace, task: () => void): boolean {
    const pinned = this.#pinned.find((each) => each.type === type);
    if (pinned === undefined || inodeOf(`/proc/self/ns/${type}`) === pinned.inode) return false;
    visitNamespace(syscalls, type, pinned.descriptor, task);
    return true;
  }

  /** A descriptor of its mount namespace, valid until `close`. */
  get mounts(): number {
    const pinned = this.#pinned.find(({ type }) => type === 'mnt');
    if (pinned === undefined)
      throw new GuestError('internal', 'the first process of the container has ended');
    return pinned.descriptor;
  }

  /** Identifies one of them while it is open: containers that share a namespace have the same. */
  identity(type: ThreadNamespace): string {
    return `${type}:${this.#pinned.find((each) => each.type === type)?.inode ?? ''}`;
  }

  close(): void {
    for (const { descriptor } of this.#pinned) closeSync(descriptor);
  }
}

/** Undefined: the kernel does not have this type, or the process has ended. */
function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

function inodeOf(path: string): bigint | undefined {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}
