import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../syscalls/syscall-error.js';

/**
 * # Which files the event loop may read at once (S36)
 *
 * A synchronous read stops every call on every listener until it returns. It is allowed for files whose content the
 * guest's own kernel makes from its memory, since nothing outside the guest can delay them:
 *
 * - cgroupfs (v1 and v2);
 * - procfs: files of the whole guest (`meminfo`, `stat`, `vmstat`, `net/dev`, `diskstats`, `sys/…`), of the agent itself
 *   (`self/…`), and of another process `stat`, `status`, `cgroup`, `mountinfo`, and its links in `ns/`;
 * - sysfs: the kernel's own settings and the topology of CPUs and memory (`kernel/mm`, `devices/system`), and the
 *   numbers, names and sizes of devices (`dev`, `uevent`, `size`), which the kernel has stored;
 * - files on the guest's initramfs or on a tmpfs that the agent mounted, such as its state in `/run`.
 *
 * It is not allowed for files whose read waits for another process:
 *
 * - the share (virtio-fs, 9p), any other FUSE or network file system, and `statfs` or `open` of anything on one;
 * - disks, and file systems on them, but for those of the measured guest image; a device node itself;
 * - overlays with a layer on either;
 * - procfs: `cmdline`, `environ`, `maps`, `smaps`, `mem`, `cwd`, `root` and `exe` of another process. They take the lock
 *   of its memory, which a page fault on a file of the share holds, or lead to its files;
 * - sysfs: attributes that ask the device (`config` and `vpd` of PCI, `speed` of an interface, `serial` of a disk);
 * - pipes, sockets and terminals.
 *
 * Such files are read by a task in a thread of its own (`TaskThreads`) or in a process, with a deadline. The thread pool of Node.js is
 * for files of the first list that can be expensive: whatever waits there occupies one of four threads for all.
 */
export function readKernelFile(path: string): string {
  const fd = openKernelFile(path);
  try {
    return readAll(fd, 'any');
  } finally {
    closeSync(fd);
  }
}

/** How long a directory is taken to have the same files, in ms: a controller can be enabled after the first read. */
const listedMs = 10_000;
/** Errors of a cgroup that was removed, or of a file that the kernel does not support. */
const absent = ['ENOENT', 'ENODEV', 'EOPNOTSUPP'] as const;

/**
 * Files of cgroups that are read again and again: each keeps its descriptor until `close`. For files of one record, which is all
 * but `cgroup.procs`, `cgroup.threads` and `tasks`.
 */
export class KernelFiles {
  readonly #descriptors: Map<string, number> = new Map();
  readonly #listed: Map<string, { readonly names: ReadonlySet<string>; readonly at: number }> = new Map();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The number of descriptors that are open. */
  get open(): number {
    return this.#descriptors.size;
  }

  /** Returns the names in a directory. A directory that does not exist has none. */
  names(directory: string): ReadonlySet<string> {
    const listed = this.#listed.get(directory);
    const at = this.#now();
    if (listed !== undefined && at - listed.at < listedMs) return listed.names;
    const names = new Set(namesOf(directory));
    this.#listed.set(directory, { names, at });
    return names;
  }

  /**
   * Reads a file of a directory from its beginning. Undefined: the directory does not have it, or the kernel has removed
   * it. A file that was removed and is there again is opened again.
   */
  read(directory: string, name: string): string | undefined {
    if (!this.names(directory).has(name)) return undefined;
    const path = join(directory, name);
    const kept = this.#descriptors.get(path);
    try {
      if (kept !== undefined) return readAll(kept, 'one record');
    } catch (error) {
      this.#close(path);
      if (!hasCode(error, ...absent)) throw error;
    }
    try {
      const fd = openKernelFile(path);
      this.#descriptors.set(path, fd);
      return readAll(fd, 'one record');
    } catch (error) {
      this.#close(path);
      if (hasCode(error, ...absent)) return undefined;
      throw error;
    }
  }

  /** Closes all descriptors. A later read opens them again. */
  close(): void {
    for (const path of this.#descriptors.keys()) this.#close(path);
    this.#listed.clear();
  }

  #close(path: string): void {
    const fd = this.#descriptors.get(path);
    if (fd === undefined) return;
    this.#descriptors.delete(path);
    closeSync(fd);
  }
}

/** A FIFO or a device in place of a file neither blocks the open nor is read. */
function openKernelFile(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (fstatSync(fd).isFile()) return fd;
    throw new Error(`${path} is not a regular file, so the kernel did not make it`);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Most files fit into it. The event loop reads one file after another, so that they share it. */
const buffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Reads from the beginning. The kernel may return a file in several parts, whatever the room for it; but one of a single record, such as
 * those of cgroups (kernel fs/seq_file.c, kernel/cgroup/cgroup.c: cgroup_seqfile_show), is complete where it does not fill the room.
 */
function readAll(fd: number, content: 'any' | 'one record'): string {
  const parts: Buffer[] = [];
  let position = 0;
  let filled = 0;
  for (;;) {
    const read = readSync(fd, buffer, filled, buffer.length - filled, position);
    if (read === 0) break;
    position += read;
    filled += read;
    if (filled === buffer.length) {
      parts.push(Buffer.from(buffer));
      filled = 0;
    } else if (content === 'one record') break;
  }
  const last = buffer.subarray(0, filled);
  return parts.length === 0 ? last.toString() : Buffer.concat([...parts, last]).toString();
}

function namesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, ...absent)) return [];
    throw error;
  }
}
