import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';

/**
 * Returns the components of an absolute path. Empty ones and `.` are dropped; `..`, a relative path and a NUL are
 * refused: the meaning of such a path depends on the process that resolves it.
 *
 * @param named for the error: `source of the mount at "/data"`.
 */
export function cleanPath(path: string, named: string): readonly string[] {
  if (!path.startsWith('/') || path.includes('\0'))
    throw new GuestError('invalid', `${named} ${quotedPath(path)} must be an absolute path`);
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..'))
    throw new GuestError('invalid', `${named} ${quotedPath(path)} must not contain ".."`);
  return names;
}

/** Reports whether the inner path equals the outer one or is below it; both absolute and clean. */
export function contains(outer: string, inner: string): boolean {
  return outer === '/' || inner === outer || inner.startsWith(`${outer}/`);
}
