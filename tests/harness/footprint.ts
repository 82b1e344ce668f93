import { readdirSync, readFileSync } from 'node:fs';

/** What an agent has on the machine at a moment: all that must be the same before and after its work. */
interface Footprint {
  /** Names of the programs among its descendants. */
  readonly processes: readonly string[];
  /** Mount points in its mount namespace. */
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
      .sort(),
    cgroups: cgroups(cgroupParent),
    files: filesBelow(`/proc/${pid}/root/run`),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

function descendants(pid: number): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
      .split(' ')
      .filter((text) => text !== '')
      .map(Number),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function programName(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
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
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === 'ENOENT' ||
      (error as NodeJS.ErrnoException).code === 'ENOTDIR'
    )
      return [];
    throw error;
  }
}

function filesBelow(path: string): readonly string[] {
  return readdirSync(path, { recursive: true }).map(String).sort();
}
