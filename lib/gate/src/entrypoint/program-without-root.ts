import { posix } from 'node:path';
import { enginePath, libraryDirectories, linkerFiles } from '@kata-agent/catalogue';
import type { CreateContainerRequest } from '@kata-agent/protocol/agent';
import type { RuleImageConfig } from '../rule-context.js';
import type { ImageAccount, ImageProgram } from '@kata-agent/catalogue';

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
