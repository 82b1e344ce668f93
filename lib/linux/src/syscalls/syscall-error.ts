import { errnoName, errnoNumber, errnoText } from './errno.js';

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
