import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { steady } from './patience.js';

/** What an agent has on the machine at a moment: all that must be the same before and after its work. */
interface Footprint {
  /** Names of the programs among its descendants. */
  readonly processes: readonly string[];
  /**
   * Mount points in its mount namespace. What tests beside this one have below the folder of temporary files was copied
   * when the namespace was made, and goes from it when they remove the place.
   */
  readonly mounts: readonly string[];
  /** Cgroups below those that the tests' containers name. */
  readonly cgroups: readonly string[];
  /** Everything below its /run, the record excepted. */
  readonly files: readonly string[];
  readonly descriptors: number;
}

/**
 * Reads the footprint of the agent with this pid from /proc and the cgroup file systems. Its containers' cgroups are those
 * below one parent, which no other test running beside this one may use.
 */
export function footprint(pid: number, cgroupParent: string): Footprint {
  return {
    processes: descendants(pid).map(programName).sort(),
    mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((place) => !place.startsWith(`${tmpdir()}/`))
      .sort(),
    cgroups: cgroups(cgroupParent),
    files: filesBelow(`/proc/${pid}/root/run`),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** The footprint once it has come to rest. */
export function steadyFootprint(pid: number, cgroupParent: string): Promise<Footprint> {
  return steady(() => footprint(pid, cgroupParent));
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

/** Empty when the process ended meanwhile. */
function textOf(path: string): string {
  return unlessGone('', () => readFileSync(path, 'utf8'));
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
  return unlessGone([], () =>
    readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  );
}

/** The kernel has no such file or folder, or no such process any more. */
const gone: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ESRCH'];

function unlessGone<Value>(otherwise: Value, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (gone.includes((error as NodeJS.ErrnoException).code)) return otherwise;
    throw error;
  }
}

function filesBelow(path: string): readonly string[] {
  return readdirSync(path, { recursive: true }).map(String).sort();
}
