import { Directory, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import type { SharedMount } from '../../request/actions.js';
import type { OciSpec } from '../../request/oci-spec.js';
import { resolveDestinations } from '../../source/destinations.js';
import { findProgram } from './find-program.js';
import { ImageFiles } from './image-files.js';
import type { ImageAccount, ImageProgram } from '@kata-agent/catalogue';

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

/** The account files of an image. */
interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/**
 * Resolves a user as container engines do; undefined: a name is in neither file. Empty: root.
 *
 * Source: containerd `WithUser` and `WithAdditionalGIDs` (pkg/oci/spec_opts.go): a number needs no entry, and its group is
 * then 0.
 */
function accountOf(user: string, { passwd, group }: AccountFiles): ImageAccount | undefined {
  const [name = '', groupName] = (user === '' ? '0' : user).split(':');
  const users = rows(passwd, 4).flatMap(([login = '', , uid, gid]) => {
    const numbers = [numberOf(uid), numberOf(gid)];
    return numbers[0] === undefined || numbers[1] === undefined
      ? []
      : [{ login, uid: numbers[0], gid: numbers[1] }];
  });
  const groups = rows(group, 3).flatMap(([title = '', , gid, members = '']) => {
    const number = numberOf(gid);
    return number === undefined ? [] : [{ title, gid: number, members: members.split(',') }];
  });
  const uid = numberOf(name);
  const entry = users.find((row) => (uid === undefined ? row.login === name : row.uid === uid));
  if (uid === undefined && entry === undefined) return undefined;
  const gid =
    groupName === undefined
      ? (entry?.gid ?? 0)
      : (numberOf(groupName) ?? groups.find(({ title }) => title === groupName)?.gid);
  if (gid === undefined) return undefined;
  const login = entry?.login;
  return {
    uid: uid ?? entry?.uid ?? 0,
    gid,
    groups:
      login === undefined
        ? []
        : groups.filter(({ members }) => members.includes(login)).map((row) => row.gid),
  };
}

function rows(text: string, fields: number): readonly (readonly string[])[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter((row) => row.length >= fields);
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 ? Number(text) : undefined;
}
