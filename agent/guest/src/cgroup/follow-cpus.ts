import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeCgroupFile } from './cgroup-files.js';
import type { CgroupPaths } from './cgroup-paths.js';
import { formatCpuList, parseCpuList } from '../spec/cpu-list.js';
import { usableCpus } from '../spec/resources.js';

/** A container whose cpuset follows the CPUs of the guest. */
interface CpuUser {
  readonly cgroup: CgroupPaths;
  /** The CPUs that it may run on, as `0-3,8`; empty: all. */
  readonly cpus: string;
}

/**
 * Updates the cpusets of containers after CPUs were plugged: a container whose spec names CPUs gets those of them that are
 * online. On v1 a cpuset can have only CPUs of its parent, so the cgroups above are widened first; v2 accepts any CPU that the
 * kernel can have, and no other.
 */
export function followCpus(containers: readonly CpuUser[], online: readonly number[], root: string): void {
  for (const { cgroup, cpus } of containers) {
    if (cpus === '') continue;
    if (cgroup.version === 2) {
      // systemd has removed the cgroup of a scope whose processes have ended.
      const wanted = usableCpus(cpus, online);
      if (wanted !== '') writeCgroupFile(join(cgroup.directory, 'cpuset.cpus'), wanted);
      continue;
    }
    const directory = cgroup.controllers.get('cpuset');
    if (directory === undefined) continue;
    const wanted = usableCpus(cpus, online);
    widenAbove(directory, online, root);
    if (wanted !== '') writeFileSync(join(directory, 'cpuset.cpus'), wanted);
  }
}

/** Adds the online CPUs to the cgroups above, the outermost first. The root of the hierarchy always has all CPUs. */
function widenAbove(directory: string, online: readonly number[], root: string): void {
  const above: string[] = [];
  for (let path = dirname(directory); path.startsWith(`${root}/`); path = dirname(path)) above.unshift(path);
  for (const path of above) {
    const file = join(path, 'cpuset.cpus');
    const outer = join(dirname(path), 'cpuset.cpus');
    if (!existsSync(file) || !existsSync(outer)) continue;
    const has = parseCpuList(readFileSync(file, 'utf8'));
    if (online.some((cpu) => !has.includes(cpu))) writeFileSync(file, formatCpuList(online));
  }
}
