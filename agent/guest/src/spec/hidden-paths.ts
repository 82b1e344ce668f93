import { posix } from 'node:path';
import { GuestError } from '../error/guest-error.js';

/**
 * Checks `maskedPaths` or `readonlyPaths`: runc resolves `..` in such a path, so that it could name another directory
 * than it seems.
 */
export function checkHiddenPaths(
  name: 'maskedPaths' | 'readonlyPaths',
  paths: readonly string[] | undefined,
): void {
  const strange = paths?.find((path) => !path.startsWith('/') || posix.normalize(path) !== path);
  if (strange !== undefined)
    throw new GuestError('invalid', `linux.${name}: ${JSON.stringify(strange)} is not a clean absolute path`);
}
