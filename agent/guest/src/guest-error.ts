import { hasCode, UnsafePathError } from '@kata-agent/linux';

/** System errors with a specific kind; all others are `internal`. */
const kinds: readonly (readonly [kind: GuestErrorKind, ...codes: string[]])[] = [
  ['exhausted', 'ENOSPC', 'EDQUOT', 'ENOMEM', 'EMFILE', 'ENFILE'],
  ['invalid', 'EINVAL', 'ENAMETOOLONG', 'ENOTDIR', 'EISDIR', 'ELOOP'],
  ['precondition', 'EBUSY', 'EROFS', 'ENODEV', 'ENXIO'],
];

/**
 * The kinds of failure a caller can act on. The agent's services turn each into one ttRPC code:
 * `not-found` NOT_FOUND, `invalid` INVALID_ARGUMENT, `exists` ALREADY_EXISTS, `precondition`
 * FAILED_PRECONDITION, `exhausted` RESOURCE_EXHAUSTED, `refused` PERMISSION_DENIED, `unimplemented`
 * UNIMPLEMENTED, `deadline` DEADLINE_EXCEEDED, `internal` INTERNAL.
 */
export type GuestErrorKind =
  | 'not-found'
  | 'invalid'
  | 'exists'
  | 'precondition'
  | 'exhausted'
  | 'refused'
  | 'unimplemented'
  | 'deadline'
  | 'internal';

/**
 * The error type of this package's API. The message names the object, the value and, where there is one, the remedy.
 */
export class GuestError extends Error {
  override readonly name = 'GuestError';
  readonly kind: GuestErrorKind;

  constructor(kind: GuestErrorKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/** A source exceeds the limits up to which it is copied (storage/drivers/mirror-limits.ts). */
export class TooLargeToMirror extends Error {
  override readonly name = 'TooLargeToMirror';
}

/** Converts any failure to a GuestError. No other code maps system error codes for callers. */
function guestError(error: unknown): GuestError {
  if (error instanceof GuestError) return error;
  if (error instanceof UnsafePathError) return new GuestError('refused', error.message, { cause: error });
  if (hasCode(error, 'ESRCH')) return new GuestError('not-found', 'ESRCH: No such process', { cause: error });
  const kind = kinds.find(([, ...codes]) => hasCode(error, ...codes))?.[0] ?? 'internal';
  return new GuestError(kind, error instanceof Error ? error.message : String(error), { cause: error });
}

/** Runs a task; converts what it throws to a GuestError. */
export async function translated<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw guestError(error);
  }
}
