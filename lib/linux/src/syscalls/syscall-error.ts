import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/** Aliases that the C library defines for a number; the first name is the one to print. */
const aliases: ReadonlySet<string> = new Set(['EWOULDBLOCK', 'EOPNOTSUPP', 'EDEADLOCK']);

const numbers: ReadonlyMap<string, number> = new Map(Object.entries(constants.errno));

const names: ReadonlyMap<number, string> = new Map(
  [...numbers].filter(([name]) => !aliases.has(name)).map(([name, number]) => [number, name]),
);

/** A failed system call. The message names the call, its object and the kernel's reason. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  /** `ENOENT`, as in Node's own system errors. */
  readonly code: string;
  /** The errno, positive. */
  readonly errno: number;
  /** `mount`, `openat2`, … */
  readonly syscall: string;
  /** The path, or another description of the object of the call. */
  declare readonly path?: string;

  constructor(syscall: string, errno: number, path?: string) {
    super(`${syscall}${path === undefined ? '' : ` ${JSON.stringify(path)}`}: ${errnoText(errno)}`);
    this.code = errnoName(errno);
    this.errno = errno;
    this.syscall = syscall;
    if (path !== undefined) this.path = path;
  }

  /**
   * Creates the error that the kernel would return under that name. For fakes, and for checks made before the kernel's.
   */
  static named(syscall: string, code: string, path?: string): SyscallError {
    const errno = errnoNumber(code);
    if (errno === undefined) throw new RangeError(`no errno is called ${code} on this platform`);
    return new SyscallError(syscall, errno, path);
  }
}

/**
 * Reports whether an error is a system error with this code: a `SyscallError`, or Node's own (`fs`, `net`,
 * `child_process`).
 */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code);
}

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
