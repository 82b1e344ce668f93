import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';

/**
 * Returns the pids of this process's children, zombies included. Reads `/proc/self/task/<tid>/children`, because an
 * orphan may be reparented to any thread; without CONFIG_PROC_CHILDREN it reads every process's `stat`.
 */
export function childProcesses(proc: string, self: number): readonly number[] {
  const tasks = join(proc, String(self), 'task');
  const found: number[] = [];
  for (const task of readdirSync(tasks)) {
    const children = readIfThere(join(tasks, task, 'children'))
      ?.toString()
      .trim();
    if (children === undefined) {
      // The file is missing because the thread has ended, or for every thread.
      if (task === String(self)) return byParent(proc, self);
      continue;
    }
    for (const pid of children.split(' ')) if (pid !== '') found.push(Number(pid));
  }
  return found;
}

function byParent(proc: string, parent: number): readonly number[] {
  return readdirSync(proc)
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(proc, pid) === parent);
}

/**
 * Returns the fourth field of stat. The second is the command in parentheses, which may itself contain parentheses and
 * spaces.
 */
function parentOf(proc: string, pid: number): number | undefined {
  const stat = readIfThere(join(proc, String(pid), 'stat'))?.toString();
  const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent === undefined ? undefined : Number(parent);
}
