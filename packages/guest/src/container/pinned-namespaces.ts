import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, type ThreadNamespace, visitNamespace } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** Every namespace that a process can be in, as /proc names it. */
const types = ['mnt', 'pid', 'ipc', 'uts', 'net', 'cgroup', 'user'] as const;

interface Pinned {
  readonly type: string;
  readonly descriptor: number;
  readonly inode: bigint;
}

/**
 * The namespaces that a container was made with. The OCI runtime has an exec join those that the first process is in, and
 * that process can move itself: the exec would then run among mounts and with mappings of ids that the container chose.
 * The descriptors keep the kernel from giving a number to another namespace while it is compared.
 */
export class PinnedNamespaces {
  readonly #pinned: readonly Pinned[];
  readonly #directory: string;

  private constructor(pinned: readonly Pinned[], directory: string) {
    this.#pinned = pinned;
    this.#directory = directory;
  }

  /** Of a process that waits for its start: nothing of the container has run in it. */
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

  /** Throws when the first process is in other namespaces by now. That it has ended is not said here. */
  check(container: string): void {
    for (const { type, inode } of this.#pinned) {
      const now = inodeOf(join(this.#directory, type));
      if (now !== undefined && now !== inode) {
        throw new GuestError(
          'refused',
          `container ${container}: its first process has moved to another ${type} namespace, so nothing is executed in it`,
        );
      }
    }
  }

  /** Runs a task while this thread is in one of them. False, and nothing has run: it is the agent's own as well. */
  visit(type: ThreadNamespace, task: () => void): boolean {
    const pinned = this.#pinned.find((each) => each.type === type);
    if (pinned === undefined || inodeOf(`/proc/self/ns/${type}`) === pinned.inode) return false;
    visitNamespace(type, pinned.descriptor, task);
    return true;
  }

  close(): void {
    for (const { descriptor } of this.#pinned) closeSync(descriptor);
  }
}

/** Undefined: the kernel has no such namespaces, or the process has ended. */
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
