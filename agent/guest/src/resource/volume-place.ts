import { Directory, type Syscalls, UnsafePathError, hasCode } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { openSource } from '../source/open-source.js';
import type { SourceRules } from '../source/source-place.js';
import { quotedPath } from '../quoted.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Throws if the path is no directory below Kata's. */
    readonly findVolume: (args: { readonly path: string; readonly kata: string }) => void;
  }
}

/** Runs a function with the directory of a volume, held open. Volumes are mounted below Kata's directory (S9). */
export function atVolume<T>(
  path: string,
  { syscalls, paths }: { readonly syscalls: Syscalls; readonly paths: Pick<GuestPaths, 'kata'> },
  use: (heldPath: string) => T,
): T {
  const named = `volume ${quotedPath(path)}`;
  if (!path.startsWith(`${paths.kata}/`))
    throw new GuestError('refused', `${named} is not below ${paths.kata}`);
  const base = Directory.open(syscalls, paths.kata);
  try {
    const volume = base.directory(path.slice(paths.kata.length + 1));
    try {
      return use(volume.path);
    } finally {
      volume.close();
    }
  } catch (error) {
    if (error instanceof UnsafePathError || !hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new GuestError('not-found', `${named} does not exist`, { cause: error });
  } finally {
    base.close();
  }
}

/**
 * Runs a function with the path of a volume, held open: in Kata's directory, or where a container of this configuration
 * may have a mount source.
 */
export function atMountedVolume<T>(
  path: string,
  context: SourceRules & { readonly syscalls: Syscalls },
  use: (heldPath: string) => T,
): T {
  if (path.startsWith(`${context.paths.kata}/`)) return atVolume(path, context, use);
  const { descriptor } = openSource(
    { path, named: 'volume', container: undefined },
    context,
    context.syscalls,
  );
  try {
    return use(`/proc/self/fd/${descriptor.fd}`);
  } finally {
    descriptor.close();
  }
}
