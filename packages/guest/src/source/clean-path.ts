import { GuestError } from '../guest-error.js';

/**
 * The names of an absolute path. Blank steps and `.` are dropped; `..`, a relative path and a NUL are refused: what such a
 * path names depends on where its reader stands.
 *
 * @param named for the error: `source of the mount at "/data"`.
 */
export function cleanPath(path: string, named: string): readonly string[] {
  if (!path.startsWith('/') || path.includes('\0'))
    throw new GuestError('invalid', `${named} ${quoted(path)} must be an absolute path`);
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw new GuestError('invalid', `${named} ${quoted(path)} must not contain ".."`);
  return names;
}

/** Whether the inner path is the outer one or lies below it; both absolute and clean. */
export function contains(outer: string, inner: string): boolean {
  return outer === '/' || inner === outer || inner.startsWith(`${outer}/`);
}

export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 500));
}
