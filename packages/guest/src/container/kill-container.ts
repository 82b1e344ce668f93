import type { Syscalls } from '@kata-agent/linux';
import { killAll } from '../cgroup/kill-all.js';
import type { Container } from './container.js';

/**
 * Kills all processes of a container, and notes that before: they do not end at one moment, so that a shell whose child was killed can
 * exit with 0, as if its work was done (S35).
 */
export async function killContainer(
  { first, cgroup }: Pick<Container, 'first' | 'cgroup'>,
  syscalls: Syscalls,
): Promise<void> {
  if (!first.ended) first.noteSignal();
  await killAll(cgroup, syscalls);
}
