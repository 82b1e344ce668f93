import { SyscallError } from './syscall-error.js';

/** A path from a request that leads where it must not: out of its base, through a link, to something of another kind. */
export class UnsafePathError extends Error {
  override readonly name = 'UnsafePathError';
  readonly path: string;

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`path ${JSON.stringify(path)} ${reason}`, options);
    this.path = path;
  }
}

/** The kernel's names of a path that left its base or met a link (openat2(2)). */
const unsafe: ReadonlyMap<string, string> = new Map([
  ['ELOOP', 'leads through a symbolic link'],
  ['EXDEV', 'leads out of its base'],
]);

/** Makes the kernel's refusal of an unsafe path an `UnsafePathError`; other errors stay as they are. */
export function asUnsafePath(path: string, error: unknown): unknown {
  const reason = error instanceof SyscallError ? unsafe.get(error.code) : undefined;
  return reason === undefined ? error : new UnsafePathError(path, reason, { cause: error });
}

/**
 * The names of a relative path. Blank steps (`a//b`, `./a`, `a/`) are nothing; an absolute path, `..`, a NUL and a path
 * without any name are refused: whoever sends those does not know or does not say what they mean.
 */
export function pathComponents(path: string): readonly string[] {
  if (path.startsWith('/')) throw new UnsafePathError(path, 'is absolute; expected one below its base');
  if (path.includes('\0')) throw new UnsafePathError(path, 'holds a NUL byte');
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw new UnsafePathError(path, 'holds "..", which could lead out of its base');
  if (names.length === 0) throw new UnsafePathError(path, 'names nothing below its base');
  return names;
}
