import { SyscallError } from '../syscalls/syscall-error.js';

/** A path from a request that leaves its base, contains a link, or leads to a file of another type. */
export class UnsafePathError extends Error {
  override readonly name = 'UnsafePathError';
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`path ${JSON.stringify(path)} ${reason}`, options);
    this.path = path;
    this.reason = reason;
  }
}

/** Error codes of openat2(2) for a path that left its base or met a link. */
const unsafe: ReadonlyMap<string, string> = new Map([
  ['ELOOP', 'leads through a symbolic link'],
  ['EXDEV', 'leads out of its base'],
]);

/** Converts the kernel's error for an unsafe path to an `UnsafePathError`; returns other errors unchanged. */
export function asUnsafePath(path: string, error: unknown): unknown {
  const reason = error instanceof SyscallError ? unsafe.get(error.code) : undefined;
  return reason === undefined ? error : new UnsafePathError(path, reason, { cause: error });
}

/**
 * Splits a relative path into components. Empty components and `.` (`a//b`, `./a`, `a/`) are ignored. An absolute path,
 * `..`, a NUL and a path without components are rejected as malformed.
 */
export function pathComponents(path: string): readonly string[] {
  if (path.startsWith('/')) throw new UnsafePathError(path, 'is absolute; expected one below its base');
  if (path.includes('\0')) throw new UnsafePathError(path, 'contains a NUL byte');
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..'))
    throw new UnsafePathError(path, 'contains "..", which could lead out of its base');
  if (names.length === 0) throw new UnsafePathError(path, 'names nothing below its base');
  return names;
}
