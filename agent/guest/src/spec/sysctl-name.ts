import { GuestError } from '../error/guest-error.js';
import { quotedWord } from '../quoted.js';

const pattern = /^[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)*$/;

/**
 * Returns the path of a sysctl below /proc/sys. As for sysctl(8) the first separator decides: in a name with slashes
 * the dots belong to an interface's name, and the other way round.
 *
 * @throws GuestError `invalid` for a name with `..` or an empty part.
 */
export function sysctlPath(name: string): readonly string[] {
  if (!pattern.test(name)) throw new GuestError('invalid', `sysctl ${quotedWord(name)} is not a valid name`);
  const separator = /[./]/.exec(name)?.[0] ?? '.';
  const parts = name.split(separator);
  return separator === '/' ? parts : parts.map((part) => part.replaceAll('/', '.'));
}

/** Returns the canonical name of a sysctl: with dots, and slashes in an interface's name. Comparisons use this form. */
export function sysctlName(path: readonly string[]): string {
  return path.map((part) => part.replaceAll('.', '/')).join('.');
}
