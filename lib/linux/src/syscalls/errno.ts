import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/** Aliases that the C library defines for a number; the first name is the one to print. */
const aliases: ReadonlySet<string> = new Set(['EWOULDBLOCK', 'EOPNOTSUPP', 'EDEADLOCK']);

const numbers: ReadonlyMap<string, number> = new Map(Object.entries(constants.errno));
const names: ReadonlyMap<number, string> = new Map(
  [...numbers].filter(([name]) => !aliases.has(name)).map(([name, number]) => [number, name]),
);

/** Returns the name of an errno: `ENOENT` for 2, `ERRNO_<number>` for a number without a name on this platform. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `ERRNO_${errno}`;
}

/** Returns the number of an errno name: 2 for `ENOENT`, undefined for a name that this platform does not define. */
export function errnoNumber(name: string): number | undefined {
  return numbers.get(name);
}

/**
 * Returns name and text of an errno: `ENOENT: no such file or directory` for 2; the name alone if Node has no text for
 * it.
 */
export function errnoText(errno: number): string {
  // Numbers above the kernel's range are libuv's own errors.
  const text = names.has(errno) ? getSystemErrorMap().get(-errno)?.[1] : undefined;
  return text === undefined ? errnoName(errno) : `${errnoName(errno)}: ${text}`;
}
