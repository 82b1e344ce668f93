import type { CreateContainerRequest } from '@kata-agent/protocol/agent';
import type { Process } from '@kata-agent/protocol/oci';
import { directoryOf } from '../facts/process-of.js';
import type { RuleImage, RuleImageConfig } from '../rule-context.js';
import { coversOf } from './covered-file.js';
import { environmentDifference } from './environment-difference.js';
import type { ImageAccount, ImageProgram } from '@kata-agent/catalogue';

/** What may differ from what the image declares. */
export interface EntrypointOptions {
  /** Arguments after the entrypoint; absent: those of the image. */
  readonly args?: readonly string[];
  /** Further variables, or ones with other values: `NAME`, `NAME=VALUE`, `NAME*`. */
  readonly env: readonly string[];
  /** Destinations of mounts that may cover a part of the program. */
  readonly mounts: readonly string[];
  /** Instead of the image's user: one of these `UID` or `UID:GID`; empty: the image's. */
  readonly user: readonly string[];
  /** Further groups. */
  readonly groups: readonly string[];
  /** Instead of the image's working directory: one of these; empty: the image's. */
  readonly cwd: readonly string[];
}

/**
 * Returns why a request does not run the process that the image declares; undefined: it does. The text has no values of
 * arguments or variables.
 */
export function entrypointDifference(
  { OCI: spec }: Pick<CreateContainerRequest, 'OCI'>,
  { config, program }: Pick<RuleImage, 'config' | 'program'>,
  options: EntrypointOptions,
): string | undefined {
  if (config === undefined) return 'the guest does not know what the image declares';
  const process = spec?.Process;
  if (process === undefined) return 'the request has no process';
  return (
    argumentDifference(process.Args, config, options.args) ??
    environmentDifference(process.Env, config.env, options.env) ??
    directoryDifference(process, config, options) ??
    rootDifference(process, spec?.Mounts.map(({ destination }) => destination) ?? [], program, options)
  );
}

function argumentDifference(
  given: readonly string[],
  { entrypoint, cmd }: RuleImageConfig,
  args: readonly string[] = cmd,
): string | undefined {
  const expected = [...entrypoint, ...args];
  if (expected.length === 0) return 'the image declares no process';
  const index = expected.findIndex((word, at) => given[at] !== word);
  if (index >= 0) return index < given.length ? `args[${index}] differs` : `args[${index}] is missing`;
  return given.length > expected.length ? `args[${expected.length}] is one too many` : undefined;
}

function directoryDifference(
  process: Process,
  { workingDir }: RuleImageConfig,
  { cwd }: Pick<EntrypointOptions, 'cwd'>,
): string | undefined {
  const allowed = cwd.length === 0 ? [workingDir || '/'] : cwd;
  return allowed.includes(directoryOf(process)) ? undefined : 'the working directory differs';
}

function rootDifference(
  process: Process,
  destinations: readonly string[],
  program: ImageProgram | undefined,
  { user, groups, mounts }: EntrypointOptions,
): string | undefined {
  if (program === undefined) return 'the program is not found in the root of the image';
  const wrongUser = userDifference(process, program, { user, groups });
  if (wrongUser !== undefined) return wrongUser;
  const [cover] = coversOf(program, destinations, mounts);
  return cover && `the mount at ${JSON.stringify(cover.mount)} covers ${JSON.stringify(cover.file)}`;
}

function userDifference(
  { User }: Process,
  { declared, requested }: ImageProgram,
  { user, groups }: Pick<EntrypointOptions, 'user' | 'groups'>,
): string | undefined {
  const uid = User?.UID ?? 0;
  const gid = User?.GID ?? 0;
  const accounts: readonly (ImageAccount | undefined)[] =
    user.length === 0 ? [declared] : user.map((text) => namedAccount(text, requested));
  const found = accounts.find((each) => each?.uid === uid && each.gid === gid);
  if (found === undefined)
    return user.length === 0 && declared === undefined
      ? 'the root of the image does not have the user that it declares'
      : 'the user differs';
  const allowed = new Set([gid, ...found.groups, ...groups.map(Number)]);
  return User?.AdditionalGids.every((group) => allowed.has(group)) === false
    ? 'the user has a group that is neither of the image nor listed'
    : undefined;
}

/** Without a group it is the one that the root of the image gives the user. */
function namedAccount(text: string, requested: ImageAccount): ImageAccount | undefined {
  const [, uid, gid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text) ?? [];
  if (uid === undefined || Number(uid) !== requested.uid) return undefined;
  return gid === undefined ? requested : { ...requested, gid: Number(gid) };
}
