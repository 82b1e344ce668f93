import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from './syscall-error.js';

/** What `/proc/<pid>/stat` tells of a process (proc_pid_stat(5)). */
export interface ProcessStat {
  /** `Z`: it has ended, and its parent has not waited for it yet. */
  readonly state: string;
  readonly parent: number;
  /** Clock ticks since the machine started: with the pid, a name that no other process ever has. */
  readonly startTime: number;
  /** The raw status word (see `exitStatus`), once it has ended. Only root is told; to others it is 0. */
  readonly status: number;
}

/** Undefined when there is no such process any more. */
export function processStat(pid: number, proc = '/proc'): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(join(proc, String(pid), 'stat'), 'utf8').trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
  // The second field is the command in brackets, which may itself hold brackets and blanks; the state is the third.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): string => fields[number - 3] ?? '';
  return {
    state: field(3),
    parent: Number(field(4)),
    startTime: Number(field(22)),
    status: Number(field(52)),
  };
}
