import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { StoreError } from './store-error.js';

// O_NONBLOCK: opening a named pipe in place of a file must fail instead of waiting for its other end.
const flags = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const modes: Readonly<Record<'append' | 'replace' | 'read', number>> = {
  append: constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT,
  replace: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
  read: constants.O_RDONLY,
};

/**
 * Opens a file of a store, which this program alone writes: a regular file, and no link to one. Throws a StoreError if something
 * else is in its place, and the system's error.
 */
export async function openOwnFile(path: string, mode: 'append' | 'replace' | 'read'): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, modes[mode] | flags, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A link; a named pipe that nobody reads; a directory.
    if (code === 'ELOOP' || code === 'ENXIO' || code === 'EISDIR') throw notOwn(path, error);
    throw error;
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw notOwn(path, undefined);
}

/** Reads a file of a store; undefined: there is none. Throws as `openOwnFile`. */
export async function readOwnFile(path: string): Promise<Buffer | undefined> {
  const file = await openOwnFile(path, 'read').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function notOwn(path: string, cause: unknown): StoreError {
  return new StoreError(
    `${path} is not a regular file`,
    'something else has put it there: move it away, and check the permissions of the directory',
    { cause },
  );
}
