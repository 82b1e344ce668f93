import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from './syscall-error.js';

/**
 * Pids of this process's children, zombies too. From `/proc/self/task/<tid>/children`, for an orphan may have been given
 * to any thread; from every process's `stat` where the kernel is built without CONFIG_PROC_CHILDREN.
 */
export function childProcesses(proc: string, self: number): readonly number[] {
  const tasks = join(proc, String(self), 'task');
  const found: number[] = [];
  for (const task of readdirSync(tasks)) {
    const children = readIfThere(join(tasks, task, 'children'));
    if (children === undefined) {
      // No such file: the thread has ended, or no thread has the file.
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

/** Fourth field of stat; the second is the command in brackets and may itself hold brackets and blanks. */
function parentOf(proc: string, pid: number): number | undefined {
  const stat = readIfThere(join(proc, String(pid), 'stat'));
  const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent === undefined ? undefined : Number(parent);
}

/** Undefined when the process or thread is gone. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}
