import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface ReplaceOptions {
  /** Permissions, whatever the umask is. */
  readonly mode: number;
  /**
   * What the new content survives: the end of the process, or a crash of the machine, for which file and directory are synced. In
   * both cases a reader has the whole old text or the whole new one.
   */
  readonly survives: 'process' | 'machine';
}

/**
 * Replaces a file, or creates it. A link in its place is replaced, not followed, and so is one at the temporary path, `PATH.new`; a
 * failure leaves nothing there. Throws the system's error.
 */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  { mode, survives }: ReplaceOptions,
): void {
  const temporary = `${path}.new`;
  // Of a process that was killed, or planted.
  rmSync(temporary, { force: true });
  const descriptor = openSync(temporary, flags, mode);
  try {
    try {
      fchmodSync(descriptor, mode);
      writeFileSync(descriptor, content);
      if (survives === 'machine') fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (survives === 'machine') syncDirectory(dirname(path));
}

const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

function syncDirectory(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The same without blocking this process while the disk writes. Two calls for one path must not overlap. */
export async function replaceFileAsync(
  path: string,
  content: string | Uint8Array,
  { mode, survives }: ReplaceOptions,
): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  const file = await open(temporary, flags, mode);
  try {
    try {
      await file.chmod(mode);
      await file.writeFile(content);
      if (survives === 'machine') await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (survives !== 'machine') return;
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
