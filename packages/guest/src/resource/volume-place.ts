import { Directory, type Syscalls, UnsafePathError, hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../guest-options.js';

/** Does something with the directory of a volume, held open. Volumes are mounted below Kata's directory (S9). */
export function atVolume<T>(
  path: string,
  { syscalls, paths }: { readonly syscalls: Syscalls; readonly paths: GuestPaths },
  deed: (heldPath: string) => T,
): T {
  const named = `volume ${JSON.stringify(path.slice(0, 200))}`;
  if (!path.startsWith(`${paths.kata}/`))
    throw new GuestError('refused', `${named} is not below ${paths.kata}`);
  const base = Directory.open(syscalls, paths.kata);
  try {
    const volume = base.directory(path.slice(paths.kata.length + 1));
    try {
      return deed(volume.path);
    } finally {
      volume.close();
    }
  } catch (error) {
    if (error instanceof UnsafePathError || !hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new GuestError('not-found', `${named} is not there`, { cause: error });
  } finally {
    base.close();
  }
}
