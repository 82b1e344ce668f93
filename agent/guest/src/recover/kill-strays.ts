import { SIGKILL, hasCode, processStat } from '@kata-agent/linux';
import { processesOf } from '../cgroup/kill-all.js';
import type { Container } from '../container/container.js';
import type { GuestContext } from '../context/guest-context.js';

/**
 * Kills processes that an agent had started in a container but was killed before it saved them: execs whose caller got
 * no response, and which no client can wait for. They are recognized by a parent outside the container: orphans of a
 * container's own processes are reparented to the first process of its pid namespace.
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
      log(
        'warn',
        `process ${pid} in container ${container.id} is an exec that no client can wait for: it is killed`,
        {
          container: container.id,
        },
      );
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
