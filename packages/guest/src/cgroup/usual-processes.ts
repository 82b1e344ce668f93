import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '../read-if-there.js';

/**
 * Processes and threads of a container for which nobody sets a limit: half of what the kernel can have, so that no
 * container keeps the agent and the others from theirs. Undefined: the guest cannot limit them.
 */
export function usualProcesses({
  cgroup,
  proc,
}: {
  readonly cgroup: string;
  readonly proc: string;
}): number | undefined {
  const controllers = readIfThere(join(cgroup, 'cgroup.controllers'));
  const limits =
    controllers === undefined
      ? existsSync(join(cgroup, 'pids', 'cgroup.procs'))
      : controllers.split(/\s/).includes('pids');
  if (!limits) return undefined;
  const [pids, threads] = ['pid_max', 'threads-max'].map((name) =>
    Number(readFileSync(join(proc, 'sys/kernel', name), 'utf8')),
  );
  return Math.max(1, Math.floor(Math.min(pids ?? 0, threads ?? 0) / 2));
}
