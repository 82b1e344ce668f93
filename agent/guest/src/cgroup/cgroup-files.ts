import { writeFileSync } from 'node:fs';
import { hasCode, readKernelFile } from '@kata-agent/linux';

/** Reads a file of a cgroup. Undefined: the kernel does not have the file or its controller, or the cgroup is gone. */
export function readCgroupFile(path: string): string | undefined {
  try {
    return readKernelFile(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Writes to a file of a cgroup. False: the cgroup is gone. */
export function writeCgroupFile(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return false;
    throw error;
  }
}

/** Reports whether the kernel has no such file, or the cgroup is being removed. */
function isAbsent(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENODEV', 'EOPNOTSUPP');
}

/** "No limit" in the protocol. */
export const UNLIMITED: bigint = 2n ** 64n - 1n;

/** Parses a number of the kernel: digits, or `max` (`UNLIMITED`). Other text is 0. */
export function count(text: string | undefined): bigint {
  if (text === 'max') return UNLIMITED;
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** Reads a file of `name value` lines. Absent: an empty table. */
export function readTable(path: string): Readonly<Record<string, bigint>> {
  return parseTable(readCgroupFile(path));
}

/** Lines of `name value`. Undefined: no names. */
export function parseTable(text: string | undefined): Readonly<Record<string, bigint>> {
  const lines = (text ?? '').split('\n').map((line) => line.split(' '));
  return Object.fromEntries(
    lines.flatMap(([name, value]) => (name && value !== undefined ? [[name, count(value)]] : [])),
  );
}
