import { constants, writeSync } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDirectory } from './make-directory.js';

/** A segment open for writing. */
export interface SegmentFile {
  /** Appends; resolves to the number of bytes written. */
  write(bytes: Uint8Array): Promise<number>;
  /** Appends synchronously, for the exit of the process. */
  writeNow(bytes: Uint8Array): number;
  datasync(): Promise<void>;
  /**
   * Allocates disk space from `from` to `end`, beyond the end of the file, without changing its size. Returns false
   * when the file system or the caller does not support it.
   */
  allocate(from: number, end: number): boolean;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** fallocate(2) with FALLOC_FL_KEEP_SIZE. Throws an error with the system's code. */
export type Allocate = (descriptor: number, offset: number, length: number) => void;

/** File operations of the log. Tests inject failures here. */
export interface FileLayer {
  /** Opens a segment for appending, and creates it if it does not exist. `fresh`: it must not exist. */
  append(path: string, options: { readonly fresh: boolean }): Promise<SegmentFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes a directory's entries durable. */
  syncDirectory(path: string): Promise<void>;
}

// O_NONBLOCK: opening a named pipe in place of the log must fail instead of waiting for a reader.
const appendFlags =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Returned by ramfs and some network file systems. */
const notOffered: ReadonlySet<string | undefined> = new Set(['EOPNOTSUPP', 'ENOSYS']);

/** The real file system. Without `allocate`, no space is reserved. */
export function systemFiles(allocate?: Allocate): FileLayer {
  return { append: (path, options) => append(path, options, allocate), rename, unlink, syncDirectory };
}

async function append(
  path: string,
  { fresh }: { readonly fresh: boolean },
  allocate: Allocate | undefined,
): Promise<SegmentFile> {
  await makeDirectory(dirname(path));
  const handle = await open(path, appendFlags | (fresh ? constants.O_EXCL : 0), 0o600);
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw new Error(`${path} is not a regular file`);
    if (status.uid !== process.geteuid?.())
      throw new Error(`${path} is owned by uid ${status.uid}, not by the agent’s user`);
    if ((status.mode & 0o077) !== 0) await handle.chmod(0o600);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    async write(bytes) {
      const { bytesWritten } = await handle.write(bytes);
      return bytesWritten;
    },
    writeNow: (bytes) => writeSync(handle.fd, bytes),
    datasync: () => handle.datasync(),
    allocate(from, end) {
      if (allocate === undefined) return false;
      try {
        allocate(handle.fd, from, end - from);
        return true;
      } catch (error) {
        if (notOffered.has((error as NodeJS.ErrnoException).code)) return false;
        throw error;
      }
    },
    truncate: (size) => handle.truncate(size),
    close: () => handle.close(),
  };
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function removeIfThere(path: string, files: FileLayer): Promise<void> {
  await files.unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
