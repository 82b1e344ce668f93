import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { replaceFileAsync } from '@kata-agent/base';
import type { BesideName } from './log-storage.js';

// O_NONBLOCK: opening a named pipe in place of a file must fail instead of waiting for its other end.
const flags = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const modes: Readonly<Record<'append' | 'read', number>> = {
  append: constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT,
  read: constants.O_RDONLY,
};

/**
 * Opens a file of a store, which this program alone writes: a regular file, and no link to one. Throws a StoreError if something
 * else is in its place, and the system's error.
 */
export async function openOwnFile(path: string, mode: 'append' | 'read'): Promise<FileHandle> {
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

/** The store cannot be used, or a value that it is given is not valid; `help` is the remedy. */
export class StoreError extends Error {
  readonly help: string;

  constructor(message: string, help: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.name = 'StoreError';
    this.help = help;
  }
}

/** Replaces a file of a store so that after a crash it has either the old or the new content. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  await replaceFileAsync(path, text, { mode: 0o600, survives: 'machine' });
}

/** A file beside the file of a log: `HASH.checkpoint`, `HASH.tree`. */
export function fileBeside(
  path: string,
  name: BesideName,
): { read: () => Promise<string | undefined>; write: (text: string) => Promise<void> } {
  const beside = path.replace(/\.[a-z]+$/, `.${name}`);
  return {
    read: async () => (await readOwnFile(beside))?.toString(),
    write: async (text) => await writeFileAtomically(beside, text),
  };
}
