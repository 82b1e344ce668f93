import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Returns the first processors of a list as in /proc/PID/status (`0-3,8`). Throws a RangeError if it has fewer, or if
 * the count is not a whole number above 0.
 */
export function firstProcessors(list: string, count: number): readonly number[] {
  const all = list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  if (!Number.isInteger(count) || count < 1 || count > all.length)
    throw new RangeError(`--processors: a whole number from 1 to ${all.length}`);
  return all.slice(0, count);
}

/**
 * Pins all threads of this process, and so each program that it starts, to the first processors on which it may run, by
 * `taskset` of util-linux. Returns them. Throws as firstProcessors does, and an error if it cannot be done.
 */
export function pinToProcessors(count: number): readonly number[] {
  const allowed = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const processors = firstProcessors(allowed, count);
  const args = ['--all-tasks', '--cpu-list', '--pid', processors.join(','), String(process.pid)];
  const { status, stderr, error } = spawnSync('taskset', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`taskset: ${error?.message ?? stderr.trim()}`);
  return processors;
}
