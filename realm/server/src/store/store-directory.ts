import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '@kata-agent/audit';
import { StoreError } from './store-error.js';

/** flock(2) with LOCK_EX | LOCK_NB; false if another open file has the lock. */
export type TryLock = (descriptor: number) => boolean;

/**
 * Creates the directory of a store if it is missing, and locks it until the returned file is closed or the process ends,
 * however that is. Throws a StoreError.
 */
export async function takeStoreDirectory(path: string, tryLock: TryLock): Promise<FileHandle> {
  const help = 'choose a directory of this user whose mode is 0700: --store DIR';
  await makeDirectory(path).catch((error: Error) => {
    throw new StoreError(`the store ${path} cannot be created: ${error.message}`, help, { cause: error });
  });
  const found = await lstat(path);
  if (!found.isDirectory()) throw new StoreError(`the store ${path} is not a directory`, help);
  if (found.uid !== process.geteuid?.())
    throw new StoreError(`the store ${path} belongs to uid ${found.uid}`, help);
  if ((found.mode & 0o077) !== 0)
    throw new StoreError(
      `the store ${path} is open to other users: its mode is ${(found.mode & 0o777).toString(8)}`,
      `chmod 700 ${path}`,
    );
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const lock = await open(join(path, 'lock'), flags, 0o600).catch((error: Error) => {
    throw new StoreError(`the store ${path} cannot be locked: ${error.message}`, help, { cause: error });
  });
  try {
    if (tryLock(lock.fd)) return lock;
  } catch (error) {
    await lock.close();
    throw new StoreError(`the store ${path} cannot be locked: ${(error as Error).message}`, help, {
      cause: error,
    });
  }
  await lock.close();
  throw new StoreError(
    `the store ${path} is in use by another realm`,
    'stop that process first (fuser names it), or choose another directory: --store DIR',
  );
}
