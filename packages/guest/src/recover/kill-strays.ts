import { hasCode, processStat } from '@kata-agent/linux';
import { processesOf } from '../cgroup/kill-all.js';
import type { Container } from '../container/container.js';
import type { GuestContext } from '../container/guest-context.js';

const SIGKILL = 9;

/**
 * Kills processes that an agent had started in a container and was killed before it could write them down: execs whose
 * caller never heard that they run, and which nobody could wait for. They are known by their parents, which are none of the
 * containers': what a container's processes leave behind goes to the first process of its pid namespace.
 */
export function killStrays(
  containers: readonly Container[],
  { syscalls, paths, log }: Pick<GuestContext, 'syscalls' | 'paths' | 'log'>,
): void {
  const inside = new Map(containers.map((container) => [container, processesOf(container.cgroup)]));
  const all = new Set([...inside.values()].flat());
  for (const [container, pids] of inside) {
    const known = new Set(container.processes.map(({ pid }) => pid));
    for (const pid of pids) {
      const stat = known.has(pid) ? undefined : processStat(pid, paths.proc);
      if (stat === undefined || stat.state === 'Z' || all.has(stat.parent)) continue;
      log('warn', `process ${pid} in container ${container.id} is nobody's, and is killed`, {
        container: container.id,
      });
      kill(pid);
    }
  }

  function kill(pid: number): void {
    try {
      syscalls.kill(pid, SIGKILL);
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
}
