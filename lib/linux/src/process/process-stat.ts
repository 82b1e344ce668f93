import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../syscalls/syscall-error.js';

/** Fields of `/proc/<pid>/stat` (proc_pid_stat(5)). */
export interface ProcessStat {
  /** `Z`: a zombie, which has ended but whose parent has not waited for it. */
  readonly state: string;
  readonly parent: number;
  /** Start time in clock ticks since boot; together with the pid it identifies a process uniquely. */
  readonly startTime: number;
  /** The wait status (see `exitStatus`) once it has ended. Readable by root only; 0 for others. */
  readonly status: number;
}

/** Reads a process's stat; undefined when there is no such process. */
export function processStat(pid: number, proc = '/proc'): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(join(proc, String(pid), 'stat'), 'utf8').trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
  // The second field is the command in parentheses, which may itself contain parentheses and spaces; the state is the
  // third.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): string => fields[number - 3] ?? '';
  return {
    state: field(3),
    parent: Number(field(4)),
    startTime: Number(field(22)),
    status: Number(field(52)),
  };
}
