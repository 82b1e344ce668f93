import { constants, writeSync } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from './make-folder.js';

/** A segment that is being written. */
export interface SegmentFile {
  /** Appends; resolves to the bytes that were taken. */
  write(bytes: Uint8Array): Promise<number>;
  /** The same at once, for the end of the process. */
  writeNow(bytes: Uint8Array): number;
  datasync(): Promise<void>;
  /**
   * Gives the bytes from `from` to `end` their space now, beyond the end of the file, whose size stays. False: neither the
   * file system nor the caller offers that.
   */
  allocate(from: number, end: number): boolean;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** fallocate(2) with FALLOC_FL_KEEP_SIZE: throws an error with the system's code. */
export type Allocate = (descriptor: number, offset: number, length: number) => void;

/** What the log does to its files. Tests put failures in between. */
export interface FileLayer {
  /** Opens a segment for appending, and makes it if it is not there. `fresh`: it must not be there. */
  append(path: string, options: { readonly fresh: boolean }): Promise<SegmentFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes a directory's entries durable. */
  syncDirectory(path: string): Promise<void>;
}

// O_NONBLOCK: opening a pipe that somebody put in the log's place must fail, not wait for a reader.
const appendFlags =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** As ramfs and some network file systems answer. */
const notOffered: ReadonlySet<string | undefined> = new Set(['EOPNOTSUPP', 'ENOSYS']);

/** The files of the system. Without `allocate`, no space is reserved. */
export function systemFiles(allocate?: Allocate): FileLayer {
  return { append: (path, options) => append(path, options, allocate), rename, unlink, syncDirectory };
}

async function append(
  path: string,
  { fresh }: { readonly fresh: boolean },
  allocate: Allocate | undefined,
): Promise<SegmentFile> {
  await makeFolder(dirname(path));
  const handle = await open(path, appendFlags | (fresh ? constants.O_EXCL : 0), 0o600);
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw new Error(`${path} is not a regular file`);
    if (status.uid !== process.geteuid?.())
      throw new Error(`${path} belongs to uid ${status.uid}, not to us`);
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
