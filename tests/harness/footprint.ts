import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { stableResult } from './retry.js';

/** Resources of an agent that must be the same before and after its work. */
interface Footprint {
  /** Names of the programs among its descendants. */
  readonly processes: readonly string[];
  /**
   * Mount points in its mount namespace, except those below the temporary directory, and those of `ip netns`: mounts of concurrent
   * tests are copied with the namespace and disappear when those tests remove the mount point.
   */
  readonly mounts: readonly string[];
  /** Cgroups below those of the tests' containers. */
  readonly cgroups: readonly string[];
  /** Files and directories below its /run. */
  readonly files: readonly string[];
  readonly descriptors: number;
}

/**
 * The namespaces that a pod's containers share: the first container creates them, and DestroySandbox releases them
 * (agent/guest/src/sandbox/sandbox.root.test.ts).
 */
const ofPod = /(?:^|\/)kata-agent\/namespaces(?:\/|$)/;

/** The agent makes none. */
const ofNetwork = /^\/run\/netns(?:\/|$)/;

/** Written beside the log every 10 s, whatever is called. */
const checkpoint = /\/audit\.log\.checkpoint(?:\.next)?$/;

/**
 * Reads the footprint of the agent with this pid from /proc and the cgroup file systems. Its containers' cgroups are
 * below one parent, which no concurrent test may use.
 */
export function footprint(pid: number, cgroupParent: string): Footprint {
  return {
    processes: descendants(pid).map(programName).sort(),
    mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((path) => !path.startsWith(`${tmpdir()}/`) && !ofPod.test(path) && !ofNetwork.test(path))
      .sort(),
    cgroups: cgroups(cgroupParent),
    files: filesBelow(`/proc/${pid}/root/run`).filter((path) => !ofPod.test(path) && !checkpoint.test(path)),
    descriptors: descriptorsOf(pid),
  };
}

/**
 * Returns the number of descriptors without those of event loops: each thread for the host's media has one, with an eventpoll, an
 * eventfd and a pipe, and such threads come and go.
 */
function descriptorsOf(pid: number): number {
  const names = readdirSync(`/proc/${pid}/fd`);
  const loops = names.filter(
    (name) => unlessMissing('', () => readlinkSync(`/proc/${pid}/fd/${name}`)) === 'anon_inode:[eventpoll]',
  );
  return names.length - 4 * loops.length;
}

/** Returns the footprint once it is stable. */
export function stableFootprint(pid: number, cgroupParent: string): Promise<Footprint> {
  return stableResult(() => footprint(pid, cgroupParent));
}

function descendants(pid: number): readonly number[] {
  const children = tasks(pid).flatMap((task) =>
    textOf(`/proc/${pid}/task/${task}/children`)
      .split(' ')
      .filter((text) => text !== '')
      .map(Number),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function tasks(pid: number): readonly string[] {
  return namesBelow(`/proc/${pid}/task`);
}

function programName(pid: number): string {
  return textOf(`/proc/${pid}/comm`).trimEnd();
}

/** Returns an empty list if the process ended meanwhile. */
function textOf(path: string): string {
  return unlessMissing('', () => readFileSync(path, 'utf8'));
}

function cgroups(parent: string): readonly string[] {
  const root = '/sys/fs/cgroup';
  return readdirSync(root)
    .flatMap((controller) => [`${root}/${controller}/${parent}`])
    .concat(`${root}/${parent}`)
    .flatMap((path) => namesBelow(path).map((name) => `${path}/${name}`))
    .sort();
}

function namesBelow(path: string): readonly string[] {
  return unlessMissing([], () =>
    readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  );
}

/** Error codes of a file, directory or process that does not exist. */
const missingCodes: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ESRCH'];

function unlessMissing<Value>(otherwise: Value, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (missingCodes.includes((error as NodeJS.ErrnoException).code)) return otherwise;
    throw error;
  }
}

function filesBelow(path: string): readonly string[] {
  return readdirSync(path, { recursive: true }).map(String).sort();
}
