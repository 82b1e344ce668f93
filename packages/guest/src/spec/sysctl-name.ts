import { GuestError } from '../guest-error.js';

const pattern = /^[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)*$/;

/**
 * The path of a sysctl below /proc/sys. As for sysctl(8) the first separator decides: in a name with slashes the dots are
 * part of an interface's name, and the other way round.
 *
 * @throws GuestError `invalid` for what is no name; a name with `..` or an empty part is none.
 */
export function sysctlPath(name: string): readonly string[] {
  if (!pattern.test(name))
    throw new GuestError('invalid', `sysctl ${JSON.stringify(name.slice(0, 80))} is not a sysctl's name`);
  const separator = /[./]/.exec(name)?.[0] ?? '.';
  const parts = name.split(separator);
  return separator === '/' ? parts : parts.map((part) => part.replaceAll('/', '.'));
}

/** The one name of a sysctl: with dots, and slashes in an interface's name. All comparisons are of such names. */
export function sysctlName(path: readonly string[]): string {
  return path.map((part) => part.replaceAll('.', '/')).join('.');
}
