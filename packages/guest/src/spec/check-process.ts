import { posix } from 'node:path';
import { GuestError } from '../guest-error.js';
import type { OciProcess, OciRlimit, OciUser } from '../oci-spec.js';

/** A path of the runtime's own process: CVE-2024-21626 (cwd), CVE-2019-5736 (args[0]). */
const runtimeOwn = /^\/proc\/(?:self|thread-self|[0-9]+)(?:\/|$)/;

/** As runc knows them and as rules compare them: crun takes `cap_sys_admin` and `sys_admin` for the same. */
const capability = /^CAP_[A-Z][A-Z_]{1,40}$/;

/** Of getrlimit(2). */
const rlimits: ReadonlySet<string> = new Set(
  'AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK'
    .split(' ')
    .map((name) => `RLIMIT_${name}`),
);

/** Of setresuid(2) it means "unchanged", so whoever asks for it stays root. */
const noId = 2 ** 32 - 1;

/** What runc would take but must not be given (S10), for a first process and an exec alike. */
export function checkProcess(process: OciProcess): void {
  const [program] = process.args;
  if (program === undefined || program === '') {
    throw new GuestError('invalid', 'process.args is empty: there is nothing to run');
  }
  if (!posix.isAbsolute(process.cwd)) {
    throw new GuestError('invalid', `process.cwd ${JSON.stringify(process.cwd)} is not an absolute path`);
  }
  // Not told: runc would, in an error that is recorded, and what has no name may be all value.
  if (process.env?.some((entry) => entry.indexOf('=') < 1) === true)
    throw new GuestError('invalid', 'process.env has an entry that is not of the form NAME=value');
  const strange = Object.values(process.capabilities ?? {})
    .flat()
    .find((name) => !capability.test(name));
  if (strange !== undefined)
    throw new GuestError('invalid', `capability ${JSON.stringify(strange)} is not written as CAP_NAME`);
  checkUser(process.user);
  checkRlimits(process.rlimits ?? []);
  const { oomScoreAdj = 0 } = process;
  if (!Number.isInteger(oomScoreAdj) || Math.abs(oomScoreAdj) > 1_000)
    throw new GuestError('invalid', `process.oomScoreAdj ${oomScoreAdj} is not from -1000 to 1000`);
  checkPaths(process, program);
}

/** Neither the working directory nor the program may be reached through a process's own directory of /proc. */
function checkPaths({ cwd, env = [] }: OciProcess, program: string): void {
  const programs = program.includes('/')
    ? [['args[0]', posix.resolve(cwd, program)] as const]
    : searchPath(env).map((entry) => ['env PATH', posix.resolve(cwd, entry)] as const);
  for (const [name, path] of [['cwd', cwd] as const, ...programs]) {
    if (runtimeOwn.test(normal(path))) {
      throw new GuestError(
        'refused',
        `process.${name} ${JSON.stringify(path)} lies in a process's /proc directory`,
      );
    }
  }
}

/** Where a program without a slash is looked for. An empty entry is the working directory. */
function searchPath(env: readonly string[]): readonly string[] {
  return env.filter((entry) => entry.startsWith('PATH=')).flatMap((entry) => entry.slice(5).split(':'));
}

function checkUser({ uid, gid, additionalGids = [] }: OciUser): void {
  for (const [name, id] of [
    ['uid', uid] as const,
    ['gid', gid] as const,
    ...additionalGids.map((group) => ['additionalGids', group] as const),
  ]) {
    if (id === noId)
      throw new GuestError('invalid', `process.user.${name} ${id} is no id: it would leave the id as it is`);
  }
}

function checkRlimits(limits: readonly OciRlimit[]): void {
  const seen = new Set<string>();
  for (const { type, hard, soft } of limits) {
    if (!rlimits.has(type)) throw new GuestError('invalid', `rlimit ${JSON.stringify(type)} is not known`);
    if (seen.has(type)) throw new GuestError('invalid', `rlimit ${type} is there twice`);
    if (BigInt(soft) > BigInt(hard))
      throw new GuestError(
        'invalid',
        `rlimit ${type}: the soft limit ${soft} is above the hard one, ${hard}`,
      );
    seen.add(type);
  }
}

/** `normalize` leaves a leading `//` in no case of its own on Linux, but says so nowhere. */
function normal(path: string): string {
  return posix.normalize(path).replace(/^\/+/, '/');
}
