import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/** Names that the C library gives to a number a second time; the first name is the one to print. */
const aliases: ReadonlySet<string> = new Set(['EWOULDBLOCK', 'EOPNOTSUPP', 'EDEADLOCK']);

const numbers: ReadonlyMap<string, number> = new Map(Object.entries(constants.errno));
const names: ReadonlyMap<number, string> = new Map(
  [...numbers].filter(([name]) => !aliases.has(name)).map(([name, number]) => [number, name]),
);

/** `ENOENT` for 2. A number that this platform has no name for becomes `ERRNO_<number>`. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `ERRNO_${errno}`;
}

/** 2 for `ENOENT`; undefined for a name that this platform does not know. */
export function errnoNumber(name: string): number | undefined {
  return numbers.get(name);
}

/** `ENOENT: no such file or directory` for 2; the name alone when Node has no text for it. */
export function errnoText(errno: number): string {
  // Above the kernel's own numbers the map holds libuv's inventions.
  const text = names.has(errno) ? getSystemErrorMap().get(-errno)?.[1] : undefined;
  return text === undefined ? errnoName(errno) : `${errnoName(errno)}: ${text}`;
}
