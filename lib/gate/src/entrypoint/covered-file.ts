import {
  defaultDirectories,
  enginePath,
  type ImageAccount,
  type ImageProgram,
  libraryDirectories,
  linkerFiles,
} from '@kata-agent/catalogue';
import { posix } from 'node:path';
import type { CreateContainerRequest } from '@kata-agent/protocol/agent';
import type { RuleImageConfig } from '../rule-context.js';

/** A mount that replaces a part of a program. */
export interface Cover {
  /** As in the request. */
  readonly mount: string;
  readonly file: string;
}

/**
 * Returns each mount, device or masked path of a request that replaces a part of its program: at a file of it or at a
 * parent of one, or at, above or below a directory with libraries.
 *
 * @param destinations of the request's mounts, as written.
 * @param named destinations that are allowed to.
 */
export function coversOf(
  program: ImageProgram,
  destinations: readonly string[],
  named: readonly string[],
): readonly Cover[] {
  const allowed = new Set(named.map(withoutSlash));
  const covers = [
    ...program.mounts.map((path, index) => ({ path, mount: destinations[index] ?? path })),
    ...program.replaced.map((path) => ({ path, mount: path })),
  ];
  return covers.flatMap(({ path, mount }) => {
    if (allowed.has(withoutSlash(mount))) return [];
    const file =
      program.files.find((each) => isAtOrBelow(each, path)) ??
      program.directories.find((each) => isAtOrBelow(each, path) || isLibraryOf(each, path));
    return file === undefined ? [] : [{ mount, file }];
  });
}

/** In the root as the working directory, no linker searches the directories that each system has. */
function isLibraryOf(directory: string, path: string): boolean {
  if (directory === '/' && defaultDirectories.has(path.split('/')[1] ?? '')) return false;
  return isAtOrBelow(path, directory);
}

function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

function withoutSlash(path: string): string {
  return path.replace(/(?<=.)\/+$/, '');
}

/**
 * Returns what is known of the program of a request without the root of its image: paths as they are written, and no
 * interpreters. A user name of the image is taken to be the user of the request.
 */
export function programWithoutRoot(
  { OCI: spec, sharedMounts }: Pick<CreateContainerRequest, 'OCI' | 'sharedMounts'>,
  { user }: Pick<RuleImageConfig, 'user'>,
): ImageProgram {
  const process = spec?.Process;
  const variable = (name: string): string | undefined =>
    process?.Env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
  const [command = ''] = process?.Args ?? [];
  const candidates = command.includes('/')
    ? [posix.resolve('/', process?.Cwd ?? '', command)]
    : (variable('PATH') ?? enginePath).split(':').map((directory) => posix.resolve('/', directory, command));
  // As in the guest: an empty entry is the working directory.
  const searched = variable('LD_LIBRARY_PATH') ?? '';
  const libraries = (searched === '' ? [] : searched.split(/[:;]/))
    .filter((path) => !path.includes('$'))
    .map((path) => posix.resolve('/', process?.Cwd ?? '', path));
  const { UID = 0, GID = 0, AdditionalGids = [] } = process?.User ?? {};
  const requested = { uid: UID, gid: GID, groups: AdditionalGids };
  return {
    files: [...candidates, ...linkerFiles],
    directories: [...libraryDirectories, ...libraries],
    mounts: (spec?.Mounts ?? []).map(({ destination }) => posix.resolve('/', destination)),
    replaced: [
      ...(spec?.Linux?.Devices ?? []).map(({ Path }) => Path),
      ...(spec?.Linux?.MaskedPaths ?? []),
      ...sharedMounts.map(({ dstPath }) => posix.resolve('/', dstPath)),
    ],
    declared: declaredUser(user, requested),
    requested,
  };
}

function declaredUser(user: string, requested: ImageAccount): ImageAccount {
  const [uid = '', gid] = (user === '' ? '0' : user).split(':');
  const isNumber = /^\d+$/;
  return {
    uid: isNumber.test(uid) ? Number(uid) : requested.uid,
    gid: gid !== undefined && isNumber.test(gid) ? Number(gid) : requested.gid,
    groups: requested.groups,
  };
}
