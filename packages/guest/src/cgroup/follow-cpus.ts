import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Container } from '../container/container.js';
import { formatCpuList, parseCpuList } from '../resource/cpu-list.js';

/**
 * After CPUs were plugged, the containers that are to run on certain ones get those that have come. On v1 the
 * directories above them have to hold a CPU before they can; v2 takes any list and uses what is there.
 */
export function followCpus(containers: readonly Container[], online: readonly number[], root: string): void {
  for (const { cgroup, cpus } of containers) {
    if (cpus === '') continue;
    if (cgroup.version === 2) {
      writeFileSync(join(cgroup.directory, 'cpuset.cpus'), cpus);
      continue;
    }
    const directory = cgroup.controllers.get('cpuset');
    if (directory === undefined) continue;
    const wanted = parseCpuList(cpus).filter((cpu) => online.includes(cpu));
    widenAbove(directory, online, root);
    if (wanted.length > 0) writeFileSync(join(directory, 'cpuset.cpus'), formatCpuList(wanted));
  }
}

/** The outermost first; the hierarchy's root has all CPUs always. */
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
