// The cgroups of a fresh root: one in each hierarchy of this machine. Cgroups of its containers are below them,
// and are removed with them.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '@kata-agent/tool-command/command-line';

/** A mounted cgroup hierarchy. */
export interface Hierarchy {
  readonly mountPoint: string;
  readonly type: 'cgroup' | 'cgroup2';
  /** The options to mount it again. */
  readonly options: string;
  /** The path of this process's cgroup below the mount point. */
  readonly own: string;
}

/** A created cgroup and its hierarchy. */
export interface CreatedCgroup extends Hierarchy {
  readonly directory: string;
  /** Whether this machine has no v1 hierarchy. */
  readonly onlyV2: boolean;
}

/** Returns the mounted hierarchies, from the contents of /proc/self/cgroup and /proc/self/mountinfo. */
export function hierarchies(cgroupText: string, mountinfoText: string): readonly Hierarchy[] {
  const paths = new Map(
    lines(cgroupText).flatMap((line) => {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return controllers === undefined || path === undefined ? [] : [[controllers, path]];
    }),
  );
  const found = lines(mountinfoText).flatMap((line): readonly Hierarchy[] => {
    const [fields = '', file = ''] = line.split(' - ');
    const [type, , superOptions = ''] = file.split(' ');
    const [, , , mountRoot = '', mountPoint = ''] = fields.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const controllers = type === 'cgroup2' ? '' : controllersOf(superOptions, [...paths.keys()]);
    const path = controllers === undefined ? undefined : paths.get(controllers);
    if (controllers === undefined || path === undefined) return [];
    const own = mountRoot !== '/' && path.startsWith(mountRoot) ? path.slice(mountRoot.length) : path;
    const options = type === 'cgroup2' ? '' : controllers.includes('=') ? `none,${controllers}` : controllers;
    return [{ mountPoint, type, options, own: own === '' ? '/' : own }];
  });
  // A mount over another hides it.
  return [...new Map(found.map((hierarchy) => [hierarchy.mountPoint, hierarchy])).values()];
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Returns the controllers in /proc/self/cgroup that are all among a mount's options. */
function controllersOf(superOptions: string, known: readonly string[]): string | undefined {
  const words = new Set(superOptions.split(','));
  return known.find((names) => names !== '' && names.split(',').every((name) => words.has(name)));
}

/**
 * Returns the path of a new cgroup: below this process's own; with v2 only, at the top, because a v2 cgroup
 * with processes cannot enable controllers for its children.
 */
export function newCgroupPath({ mountPoint, own }: Hierarchy, name: string, onlyV2: boolean): string {
  return join(mountPoint, onlyV2 ? '/' : own, name);
}

/** Creates a cgroup of this name in each hierarchy, or in none. */
export async function createCgroups(name: string): Promise<readonly CreatedCgroup[]> {
  const read = (file: string): string => readFileSync(`/proc/self/${file}`, 'utf8');
  const found = hierarchies(read('cgroup'), read('mountinfo'));
  const onlyV2 = found.every(({ type }) => type === 'cgroup2');
  const made: CreatedCgroup[] = [];
  try {
    for (const hierarchy of found) {
      const directory = newCgroupPath(hierarchy, name, onlyV2);
      mkdirSync(directory);
      made.push({ ...hierarchy, directory, onlyV2 });
      // A new v1 cpuset has no CPUs and no memory nodes: no process can join it.
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        if (hierarchy.type === 'cgroup' && existsSync(join(directory, file)))
          writeFileSync(join(directory, file), readFileSync(join(directory, '..', file)));
    }
  } catch (error) {
    await removeCgroups(made);
    throw error;
  }
  return made;
}

/** Removes the cgroups and those below them. Retries for 5 s each: their processes were killed and are exiting. */
export async function removeCgroups(made: readonly CreatedCgroup[]): Promise<void> {
  for (const { directory } of made) {
    for (const path of [...descendants(directory), directory]) {
      for (let tries = 100; !remove(path, tries === 1); tries -= 1) await delay(50);
    }
  }
}

/** Removes a cgroup. Returns false if it is busy and this is not the last try. */
function remove(path: string, isLastTry: boolean): boolean {
  try {
    rmdirSync(path);
  } catch (error) {
    if (codeOf(error) === 'EBUSY' && !isLastTry) return false;
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  return true;
}

/** Returns the cgroups below one, the deepest first. */
function descendants(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [...descendants(join(directory, entry.name)), join(directory, entry.name)]);
}

/** Returns lines of sh that mount the hierarchies in the new root, which is the working directory. */
export function mountCommands(made: readonly CreatedCgroup[]): readonly string[] {
  const [first] = made;
  if (first === undefined) return [];
  if (first.onlyV2)
    // A v2 cgroup that enables controllers for its children must have no processes.
    return [
      'mount -t cgroup2 cgroup sys/fs/cgroup',
      'mkdir sys/fs/cgroup/init',
      'echo 0 > sys/fs/cgroup/init/cgroup.procs',
    ];
  return [
    'mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup',
    ...made.flatMap(({ mountPoint, type, options }) => [
      `mkdir -p .${mountPoint}`,
      `mount -t ${type} ${options === '' ? '' : `-o ${options} `}cgroup .${mountPoint}`,
    ]),
  ];
}
