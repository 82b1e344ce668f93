import { realpathSync } from 'node:fs';
import { isAbsolute, posix } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../guest-options.js';

/**
 * The real path of something that a request wants mounted: links are resolved here, once, and the result is what is
 * mounted. Refused when it holds, or lies in, the directory of the agent's own state; the guest's root does. Below Kata's
 * directory there may be no link on the way: CopyFile makes links that point anywhere, and a rule that looks at the path
 * would see another place than the one that is mounted (S9).
 */
export function realSource(
  path: string,
  named: string,
  { kata, state }: Pick<GuestPaths, 'kata' | 'state'>,
): string {
  if (!isAbsolute(path))
    throw new GuestError('invalid', `${named} ${JSON.stringify(path)} must be an absolute path`);
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    throw new GuestError('invalid', `${named} ${JSON.stringify(path)} is not there`, { cause: error });
  }
  if (holds(real, state) || holds(state, real)) {
    throw new GuestError(
      'refused',
      `${named} ${JSON.stringify(path)} holds the agent's own state (${state})`,
    );
  }
  const written = posix
    .normalize(path)
    .replace(/^\/+/, '/')
    .replace(/(?<=.)\/$/, '');
  if (holds(kata, written) && real !== `${realpathSync(kata)}${written.slice(kata.length)}`) {
    throw new GuestError('refused', `${named} ${JSON.stringify(path)} leads through a symbolic link`);
  }
  return real;
}

/** Whether the inner path is the outer one or lies below it. */
function holds(outer: string, inner: string): boolean {
  return outer === '/' || inner === outer || inner.startsWith(`${outer}/`);
}
