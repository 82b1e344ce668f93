// The cgroups of a fresh root: one of its own in each hierarchy of this machine, so that no container's cgroup stays.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * The mounted hierarchies, from /proc/self/cgroup and /proc/self/mountinfo: `mountPoint`, `type` and `options` to mount
 * each again, and `own`, the path below the mount point of this process' cgroup.
 */
export function hierarchies(cgroupText, mountinfoText) {
  const paths = new Map(
    lines(cgroupText).map((line) => {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return [controllers, path];
    }),
  );
  return lines(mountinfoText).flatMap((line) => {
    const [fields, file] = line.split(' - ').map((part) => part.split(' '));
    const [type, , superOptions] = file;
    const [, , , mountRoot, mountPoint] = fields;
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const controllers = type === 'cgroup2' ? '' : controllersOf(superOptions, [...paths.keys()]);
    const path = paths.get(controllers);
    if (path === undefined) return [];
    const own = mountRoot !== '/' && path.startsWith(mountRoot) ? path.slice(mountRoot.length) : path;
    const options = type === 'cgroup2' ? '' : controllers.includes('=') ? `none,${controllers}` : controllers;
    return [{ mountPoint, type, options, own: own === '' ? '/' : own }];
  });
}

function lines(text) {
  return text.split('\n').filter((line) => line !== '');
}

/** The names in /proc/self/cgroup whose words are all among a mount's options. */
function controllersOf(superOptions, known) {
  const words = new Set(superOptions.split(','));
  return known.find((names) => names !== '' && names.split(',').every((name) => words.has(name)));
}

/** Where a cgroup of our own lies: below this process' own; where there is v2 alone, at the top, which can pass controllers on. */
export function ownCgroup({ mountPoint, own }, name, onlyV2) {
  return join(mountPoint, onlyV2 ? '/' : own, name);
}

/** Makes the cgroups; answers the hierarchies, each with the `folder` of its cgroup. */
export function makeCgroups(name) {
  const [cgroup, mountinfo] = ['cgroup', 'mountinfo'].map((file) =>
    readFileSync(`/proc/self/${file}`, 'utf8'),
  );
  const found = hierarchies(cgroup, mountinfo);
  const onlyV2 = found.every(({ type }) => type === 'cgroup2');
  return found.map((hierarchy) => {
    const folder = ownCgroup(hierarchy, name, onlyV2);
    mkdirSync(folder);
    // Under v1 a new cpuset has no processor and no memory, and no process can join it.
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (hierarchy.type === 'cgroup' && existsSync(join(folder, file)))
        writeFileSync(join(folder, file), readFileSync(join(folder, '..', file)));
    return { ...hierarchy, folder, onlyV2 };
  });
}

/** Removes the cgroups, and those that containers left in them. What runs in them is about to be gone: it was killed. */
export async function removeCgroups(made) {
  for (const { folder } of made) {
    for (const path of [...below(folder), folder]) {
      for (let tries = 100; !removed(path, tries === 1); tries -= 1) await delay(50);
    }
  }
}

function removed(path, last) {
  try {
    rmdirSync(path);
  } catch (error) {
    if (error.code === 'EBUSY' && !last) return false;
    if (error.code !== 'ENOENT') throw error;
  }
  return true;
}

/** Deepest first. */
function below(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [...below(join(folder, entry.name)), join(folder, entry.name)]);
}

/** Lines of sh that mount the hierarchies again, below the folder that is to become the root. */
export function mountCommands(made) {
  if (made.length === 0) return [];
  if (made[0].onlyV2)
    // A cgroup that passes controllers on holds no process.
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
