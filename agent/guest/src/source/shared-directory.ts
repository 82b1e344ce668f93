import { Directory, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** The path, below Kata's directory, of files that the host shares or copies by CopyFile. */
const place = 'shared/containers';

/** Dependencies of opening the shared directory. */
interface SharedDirectoryContext {
  readonly syscalls: Syscalls;
  /** `kata`: Kata's directory, which the agent owns. */
  readonly paths: { readonly kata: string };
}

/** Returns the path of the shared directory, for comparison with paths of requests. Only `openShared` opens it. */
export function sharedPath(kata: string): string {
  return `${kata}/${place}`;
}

/**
 * Opens the shared directory as a base for paths of requests (S9). Only Kata's directory itself is resolved by path:
 * with Nydus, Kata's runtimes mount the host's share at `shared`, so that the host controls the name `containers` and
 * can make it a link. No link is followed to the base, and no path below it crosses a link or another mount.
 *
 * @param options.make creates missing directories.
 * @throws GuestError `refused`: the path contains a link.
 */
export function openShared(
  { syscalls, paths }: SharedDirectoryContext,
  { make = false }: { readonly make?: boolean } = {},
): Directory {
  const kata = Directory.open(syscalls, paths.kata);
  try {
    if (make) kata.makeDirectory(place, { mode: 0o755 }).close();
    return kata.directory(place, { sameMount: true });
  } catch (error) {
    if (!(error instanceof UnsafePathError)) throw error;
    throw new GuestError(
      'refused',
      `the shared directory ${sharedPath(paths.kata)} leads through a symbolic link; help: share a directory`,
      { cause: error },
    );
  } finally {
    kata.close();
  }
}
