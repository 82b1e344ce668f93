import { GuestError } from '../error/guest-error.js';

/** Returns the value of `name=value` from a storage's options, each of which may be a comma-separated list. */
export function option(options: readonly string[], name: string): string | undefined {
  return options
    .flatMap((words) => words.split(','))
    .find((word) => word.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

/** Parses `fsgid=`: the group that a pod's processes share. */
export function groupOption(options: readonly string[]): number | undefined {
  const text = option(options, 'fsgid');
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1) return Number(text);
  throw new GuestError('invalid', `fsgid=${text} of a storage is not a group id`);
}
