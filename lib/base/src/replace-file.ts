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
