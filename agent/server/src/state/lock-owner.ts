import { fstatSync, readFileSync } from 'node:fs';
import { hasCode, lockHolder, processStat } from '@kata-agent/linux';

/** The process that holds a lock. `dying`: it was not found, so that the lock may be free soon. */
export interface LockOwner {
  readonly text: string;
  readonly dying: boolean;
}

/**
 * Names the holder of the lock on an open file. `written`: the holder's own note in the file, for a process that is not
 * visible.
 */
export function lockOwner(fd: number, written = ''): LockOwner {
  const pid = lockHolder(fstatSync(fd));
  if (pid === undefined) {
    const note = printable(written);
    const text = `a process in another PID namespace${note === '' ? '' : ` (there: process ${note})`}`;
    return { text, dying: true };
  }
  const state = processStat(pid)?.state;
  const dying = state === undefined || state === 'Z' || state === 'X';
  return { text: `process ${pid} (${commandOf(pid)})`, dying };
}

/** Returns the command line of a process, or its name if it has none (any more). */
export function commandOf(pid: number | 'self'): string {
  const command = printable(read(pid, 'cmdline').replaceAll('\0', ' '));
  return command === '' ? printable(read(pid, 'comm')) || 'unknown' : command;
}

function read(pid: number | 'self', name: 'cmdline' | 'comm'): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return '';
    throw error;
  }
}

const longest = 200;

/** Returns one line for a message: a process can write anything into its command line. */
function printable(text: string): string {
  const line = text.replaceAll(/[\p{C}\s]+/gu, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}
