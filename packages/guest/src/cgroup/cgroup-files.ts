import { readFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';

/**
 * The text of a cgroup's file. Undefined when this kernel does not have the file, or the cgroup is being removed:
 * a controller that is absent is an ordinary thing.
 */
export function readCgroupFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

/** A file that holds one number, or `max`. Absent: 0. */
export function readCount(path: string): bigint {
  return count(readCgroupFile(path)?.trim());
}

/** What "no limit" looks like in the protocol. */
export const UNLIMITED: bigint = 2n ** 64n - 1n;

/** A number of the kernel's: digits, or `max`. Anything else is 0. */
export function count(text: string | undefined): bigint {
  if (text === 'max') return UNLIMITED;
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** A file of `name value` lines. Absent: no names. */
export function readTable(path: string): Readonly<Record<string, bigint>> {
  const lines = (readCgroupFile(path) ?? '').split('\n').map((line) => line.split(' '));
  return Object.fromEntries(
    lines.flatMap(([name, value]) => (name && value !== undefined ? [[name, count(value)]] : [])),
  );
}
