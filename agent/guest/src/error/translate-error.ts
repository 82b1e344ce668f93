import { hasCode, UnsafePathError } from '@kata-agent/linux';
import { GuestError, type GuestErrorKind } from './guest-error.js';

/** System errors with a specific kind; all others are `internal`. */
const kinds: readonly (readonly [kind: GuestErrorKind, ...codes: string[]])[] = [
  ['exhausted', 'ENOSPC', 'EDQUOT', 'ENOMEM', 'EMFILE', 'ENFILE'],
  ['invalid', 'EINVAL', 'ENAMETOOLONG', 'ENOTDIR', 'EISDIR', 'ELOOP'],
  ['precondition', 'EBUSY', 'EROFS', 'ENODEV', 'ENXIO'],
];

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
