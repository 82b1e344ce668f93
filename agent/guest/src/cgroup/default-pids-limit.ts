import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';

/**
 * Returns the default pids limit of a container: half of the kernel's maximum, so that no container can use up the pids of
 * the agent and of other containers. Undefined: the kernel has no pids controller.
 */
export function defaultPidsLimit({
  cgroup,
  proc,
}: {
  readonly cgroup: string;
  readonly proc: string;
}): number | undefined {
  const controllers = readIfThere(join(cgroup, 'cgroup.controllers'))?.toString();
  const canLimit =
    controllers === undefined
      ? existsSync(join(cgroup, 'pids', 'cgroup.procs'))
      : controllers.split(/\s/).includes('pids');
  if (!canLimit) return undefined;
  const [pids, threads] = ['pid_max', 'threads-max'].map((name) =>
    Number(readFileSync(join(proc, 'sys/kernel', name), 'utf8')),
  );
  return Math.max(1, Math.floor(Math.min(pids ?? 0, threads ?? 0) / 2));
}
