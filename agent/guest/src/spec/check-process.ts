import { posix } from 'node:path';
import { GuestError } from '../guest-error.js';
import type { OciProcess } from '../request/oci-spec.js';

/** A path into the runtime's own /proc entry: CVE-2024-21626 (cwd), CVE-2019-5736 (args[0]). */
const runtimeOwn = /^\/proc\/(?:self|thread-self|[0-9]+)(?:\/|$)/;

/** The names that runc and rules use: crun accepts `cap_sys_admin` and `sys_admin` as the same. */
const capability = /^CAP_[A-Z][A-Z_]{1,40}$/;

/** Names of getrlimit(2). */
const knownRlimits: ReadonlySet<string> = new Set(
  'AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK'
    .split(' ')
    .map((name) => `RLIMIT_${name}`),
);

/** setresuid(2) takes this id as "unchanged", so the process would stay root. */
const noId = 2 ** 32 - 1;

/** Requires a program to run. */
export function checkProgram({ args: [program] }: OciProcess): void {
  if (program === undefined || program === '') {
    throw new GuestError('invalid', 'process.args is empty; help: name a program to run');
  }
}

export function checkWorkingDirectory({ cwd }: OciProcess): void {
  if (!posix.isAbsolute(cwd)) {
    throw new GuestError('invalid', `process.cwd ${JSON.stringify(cwd)} is not an absolute path`);
  }
}

/** Checks the form of the environment. The error has no value of a variable, unlike runc's, since errors are logged. */
export function checkEnvironment({ env = [] }: OciProcess): void {
  if (env.some((entry) => entry.indexOf('=') < 1))
    throw new GuestError('invalid', 'process.env has an entry that is not of the form NAME=value');
}

export function checkCapabilities({ capabilities = {} }: OciProcess): void {
  const strange = Object.values(capabilities)
    .flat()
    .find((name) => !capability.test(name));
  if (strange !== undefined)
    throw new GuestError('invalid', `capability ${JSON.stringify(strange)} is not written as CAP_NAME`);
}

export function checkOomScore({ oomScoreAdj = 0 }: OciProcess): void {
  if (!Number.isInteger(oomScoreAdj) || Math.abs(oomScoreAdj) > 1_000)
    throw new GuestError('invalid', `process.oomScoreAdj ${oomScoreAdj} is not from -1000 to 1000`);
}

/** Refuses a working directory or program below a process's directory in /proc. */
export function checkProcPaths({ args: [program = ''], cwd, env = [] }: OciProcess): void {
  const programs = program.includes('/')
    ? [['args[0]', posix.resolve(cwd, program)] as const]
    : searchPath(env).map((entry) => ['env PATH', posix.resolve(cwd, entry)] as const);
  for (const [name, path] of [['cwd', cwd] as const, ...programs]) {
    if (runtimeOwn.test(normal(path))) {
      throw new GuestError(
        'refused',
        `process.${name} ${JSON.stringify(path)} is in a process's /proc directory`,
      );
    }
  }
}

/**
 * Returns the directories in which a program without a slash is looked up. An empty PATH entry is the working
 * directory.
 */
function searchPath(env: readonly string[]): readonly string[] {
  return env.filter((entry) => entry.startsWith('PATH=')).flatMap((entry) => entry.slice(5).split(':'));
}

export function checkUser({ user: { uid, gid, additionalGids = [] } }: OciProcess): void {
  for (const [name, id] of [
    ['uid', uid] as const,
    ['gid', gid] as const,
    ...additionalGids.map((group) => ['additionalGids', group] as const),
  ]) {
    if (id === noId)
      throw new GuestError(
        'invalid',
        `process.user.${name} ${id} is not a valid id: it means "unchanged" to the kernel`,
      );
  }
}

export function checkRlimits({ rlimits: limits = [] }: OciProcess): void {
  const seen = new Set<string>();
  for (const { type, hard, soft } of limits) {
    if (!knownRlimits.has(type))
      throw new GuestError('invalid', `rlimit ${JSON.stringify(type)} is not known`);
    if (seen.has(type)) throw new GuestError('invalid', `rlimit ${type} appears twice`);
    if (BigInt(soft) > BigInt(hard))
      throw new GuestError(
        'invalid',
        `rlimit ${type}: the soft limit ${soft} is above the hard one, ${hard}`,
      );
    seen.add(type);
  }
}

/** `normalize` collapses a leading `//` on Linux, but its documentation does not guarantee it. */
function normal(path: string): string {
  return posix.normalize(path).replace(/^\/+/, '/');
}
