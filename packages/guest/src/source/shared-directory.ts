import { Directory, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** Below Kata's directory: where the files lie that the host shares, or brings by CopyFile. */
const place = 'shared/containers';

/** What opening the shared directory takes. */
interface SharedDirectoryContext {
  readonly syscalls: Syscalls;
  /** `kata`: Kata's directory, which is the agent's own. */
  readonly paths: { readonly kata: string };
}

/** Returns the path of the shared directory, for comparison with paths of requests. It is opened by `openShared` alone. */
export function sharedPath(kata: string): string {
  return `${kata}/${place}`;
}

/**
 * Opens the shared directory as a base for paths of requests (S9). Only Kata's directory itself is taken by its path: with
 * Nydus, Kata's runtimes mount the host's share at `shared`, so that `containers` is a name of the host's and may be a link. No
 * link is followed to the base, and below it nothing leads through a link or another mount.
 *
 * @param options.make makes the directories that are missing.
 * @throws GuestError `refused`: the way there leads through a link.
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
      `the shared directory ${sharedPath(paths.kata)} leads through a symbolic link; the host has to share directories`,
      { cause: error },
    );
  } finally {
    kata.close();
  }
}
