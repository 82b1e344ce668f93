import { Directory, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import type { SharedMount } from '../../request/actions.js';
import type { OciSpec } from '../../request/oci-spec.js';
import { resolveDestinations } from '../../source/destinations.js';
import { accountOf } from './accounts.js';
import { findProgram } from './find-program.js';
import { ImageFiles } from './image-files.js';
import type { ImageProgram } from '@kata-agent/catalogue';

declare module '../../media/host-media.js' {
  interface MediaTasks {
    readonly readProgram: (args: {
      readonly root: string;
      readonly requested: RequestedProgram;
      readonly user: string | undefined;
    }) => ImageProgram | undefined;
  }
}

/** As for `checkAccountFiles`. */
const maxAccounts = 16 * 1024 * 1024;

/** The parts of a request that determine the program. */
export type RequestedProgram = Pick<OciSpec, 'process' | 'mounts' | 'linux'> & {
  readonly sharedMounts?: readonly Pick<SharedMount, 'destinationPath'>[] | undefined;
};

/**
 * Reads what the root of an image has of the program that a request starts. Undefined: it has none.
 *
 * @param root its directory, which must not change meanwhile.
 * @param user as the image declares it; undefined: that is not known.
 * @throws GuestError if a mount leads to the root itself
 */
export function readProgram(
  root: string,
  { process, mounts = [], linux, sharedMounts = [] }: RequestedProgram,
  user: string | undefined,
  syscalls: Syscalls,
): ImageProgram | undefined {
  if (process === undefined) return undefined;
  const destinations = resolveDestinations(mounts, root, syscalls).map(({ destination }) => destination);
  const directory = Directory.open(syscalls, root);
  try {
    const files = new ImageFiles(directory);
    const paths = findProgram(process, files);
    if (paths === undefined) return undefined;
    const accounts = {
      passwd: files.text('/etc/passwd', maxAccounts),
      group: files.text('/etc/group', maxAccounts),
    };
    const { uid } = process.user;
    const resolved = (path: string): string => files.resolve(path)?.path ?? path;
    return {
      ...paths,
      mounts: destinations,
      replaced: [
        ...(linux?.devices ?? []).map(({ path }) => path),
        ...(linux?.maskedPaths ?? []),
        ...sharedMounts.map(({ destinationPath }) => destinationPath),
      ].map(resolved),
      declared: user === undefined ? undefined : accountOf(user, accounts),
      requested: accountOf(String(uid), accounts) ?? { uid, gid: 0, groups: [] },
    };
  } catch (error) {
    // A root whose files cannot be read has no known program: the rule is false.
    if (error instanceof UnsafePathError || isOfSystem(error)) return undefined;
    throw error;
  } finally {
    directory.close();
  }
}

/** Reports whether an error is of a system call, ours or Node's. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
