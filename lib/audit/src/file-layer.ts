import { constants, writeSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

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

/**
 * Creates a directory and its parents with mode 0700. An existing directory is not changed. Rejects with the system's
 * error.
 *
 * `recursive: true` of Node.js 20 is not used: it loops forever below an existing directory that accepts no entries, as
 * on procfs.
 */
export async function makeDirectory(path: string): Promise<void> {
  const missing = await make(path);
  if (missing === undefined) return;
  const above = dirname(path);
  if (above === path) throw missing;
  await makeDirectory(above);
  const refused = await make(path);
  if (refused !== undefined) throw refused;
}

/** Resolves to the error when a parent is missing. */
async function make(path: string): Promise<Error | undefined> {
  try {
    await mkdir(path, { mode: 0o700 });
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return undefined;
    if (code === 'ENOENT' && error instanceof Error) return error;
    throw error;
  }
}

/** The active segment is number 0 and has the log's path; closed ones are `.1` (the newest), `.2` … */
export function segmentPath(file: string, number: number): string {
  return number === 0 ? file : `${file}.${number}`;
}

/** Returns the numbers of the existing closed segments, newest first. */
export async function closedNumbers(file: string): Promise<number[]> {
  const prefix = `${basename(file)}.`;
  const names = await readdir(dirname(file));
  return names
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,5}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b);
}

/** Opens a segment for reading; undefined if it does not exist. */
export async function openSegment(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file so that a reader, also after a crash, has the whole old text or the whole new one. */
export async function replaceFile(path: string, text: string, files: FileLayer): Promise<void> {
  const next = `${path}.next`;
  await removeIfThere(next, files);
  const segment = await files.append(next, { fresh: true });
  try {
    for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(await segment.write(rest));
    await segment.datasync();
  } finally {
    await segment.close();
  }
  await files.rename(next, path);
  await files.syncDirectory(dirname(path));
}
