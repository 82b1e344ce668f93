import { readFileSync, type Stats } from 'node:fs';
import { hasCode } from '../syscalls/syscall-error.js';

/**
 * Returns the pid of the process that took the flock(2) of a file, from /proc/locks (proc_locks(5)). Undefined when the
 * file is not locked, its holder is in another pid namespace, or the kernel does not show it.
 */
export function lockHolder({ dev, ino }: Pick<Stats, 'dev' | 'ino'>, proc = '/proc'): number | undefined {
  let text: string;
  try {
    text = readFileSync(`${proc}/locks`, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES')) return undefined;
    throw error;
  }
  const file = `${hex(major(dev))}:${hex(minor(dev))}:${ino}`;
  const rows = text.split('\n').map((line) => lockRow.exec(line));
  const pid = Number(rows.find((row) => row?.[2] === file)?.[1] ?? 0);
  return pid > 0 ? pid : undefined;
}

/**
 * `1: FLOCK  ADVISORY  WRITE 708 00:17:5243 0 EOF`. A row with `->` after its number is a waiter for the lock above it.
 */
const lockRow = /^\d+: FLOCK +\S+ +\S+ +(-?\d+) +([0-9a-f]+:[0-9a-f]+:\d+) /;

/** Formats a part of a device number like the kernel: at least two digits. */
function hex(part: number): string {
  return part.toString(16).padStart(2, '0');
}

/**
 * Returns the major number of a device number of stat(2) (makedev(3)), whose upper half exceeds JavaScript's 32-bit
 * operators.
 */
function major(dev: number): number {
  return Number((BigInt(dev) >> 8n) & 0xfffn);
}

function minor(dev: number): number {
  return Number((BigInt(dev) & 0xffn) | ((BigInt(dev) >> 12n) & 0xfff00n));
}
