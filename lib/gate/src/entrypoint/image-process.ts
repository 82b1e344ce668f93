import { isMessage, type Message } from '@bufbuild/protobuf';
import { enginePath, type ImageAccount, type ImageProgram } from '@kata-agent/catalogue';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Process } from '@kata-agent/protocol/oci';
import { directoryOf } from '../facts/process-of.js';
import type { RuleContext, RuleImage, RuleImageConfig } from '../rule-context.js';
import { coversOf } from './covered-file.js';

/** The process of a call, compared with what the image of its container declares. */
export class ImageProcess {
  readonly #request: Message;
  readonly #image: RuleContext['image'];
  #difference: string | undefined;

  constructor(request: Message, { image }: Pick<RuleContext, 'image'>) {
    this.#request = request;
    this.#image = image;
  }

  /** Why the last comparison was false. */
  get difference(): string | undefined {
    return this.#difference;
  }

  /** An upper bound of the comparisons of paths and variables. */
  get size(): number {
    const { files, directories, mounts, replaced } = this.#image?.program ?? noProgram;
    const paths = (files.length + 2 * directories.length) * (mounts.length + replaced.length);
    const process = isMessage(this.#request, CreateContainerRequestSchema)
      ? this.#request.OCI?.Process
      : undefined;
    return paths + (process?.Args.length ?? 0) + (process?.Env.length ?? 0);
  }

  /** Forgets the last comparison: another rule is evaluated. */
  forget(): void {
    this.#difference = undefined;
  }

  isDeclared(options: EntrypointOptions): boolean {
    this.#difference = isMessage(this.#request, CreateContainerRequestSchema)
      ? entrypointDifference(this.#request, this.#image ?? {}, options)
      : 'the request creates no container';
    return this.#difference === undefined;
  }
}

const noProgram = { files: [], directories: [], mounts: [], replaced: [] };

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
function entrypointDifference(
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

/**
 * Returns what keeps an environment from being the image's with listed variables; undefined: it is. Never a value.
 *
 * @param listed `NAME`: any value; `NAME=VALUE`: this one. A `*` in a name is for any characters, and for no variable of the image: those have
 *   their values unless they are listed by name.
 */
function environmentDifference(
  requested: readonly string[],
  ofImage: readonly string[],
  listed: readonly string[],
): string | undefined {
  const declared = withPath(new Map(ofImage.map(split)));
  const allowed = listed.map((entry) => parseListed(entry, declared));
  const given = new Map<string, string>();
  for (const entry of requested) {
    const [name, value] = split(entry);
    if (name === '' || !entry.includes('=')) return 'an entry of the environment is no NAME=value';
    if (given.has(name)) return `variable ${JSON.stringify(name)} is duplicated`;
    given.set(name, value);
    const rows = allowed.filter((row) => row.matches(name));
    if (
      rows.length === 0
        ? declared.get(name) === value
        : rows.some((row) => row.value === undefined || row.value === value)
    )
      continue;
    return declared.has(name) || rows.length > 0
      ? `variable ${JSON.stringify(name)} has another value`
      : `variable ${JSON.stringify(name)} is neither the image's nor listed`;
  }
  for (const name of declared.keys())
    if (!given.has(name) && !allowed.some((row) => row.matches(name)))
      return `variable ${JSON.stringify(name)} of the image is missing`;
  return undefined;
}

/** Engines set a PATH if the image has none. */
function withPath(declared: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return declared.has('PATH') ? declared : new Map([...declared, ['PATH', enginePath]]);
}

interface Listed {
  readonly matches: (name: string) => boolean;
  /** Undefined: any. */
  readonly value: string | undefined;
}

function parseListed(entry: string, declared: ReadonlyMap<string, string>): Listed {
  const [name, value] = split(entry);
  const matches = nameMatcher(name);
  return {
    matches: name.includes('*') ? (given) => !declared.has(given) && matches(given) : matches,
    value: entry.includes('=') ? value : undefined,
  };
}

/** By parts in order, without backtracking: a name may be long. */
function nameMatcher(pattern: string): (name: string) => boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return (name) => name === pattern;
  return (name) => {
    if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last))
      return false;
    let at = first.length;
    for (const part of others) {
      const found = name.indexOf(part, at);
      if (found < 0 || found + part.length > name.length - last.length) return false;
      at = found + part.length;
    }
    return true;
  };
}

function split(entry: string): [name: string, value: string] {
  const end = entry.indexOf('=');
  return end < 0 ? [entry, ''] : [entry.slice(0, end), entry.slice(end + 1)];
}
