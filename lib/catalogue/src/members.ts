import { endpoints } from './endpoints.js';
import { type GroupName, groups } from './groups.js';
import { type MethodName, methodNames } from './methods.js';
import { compareReleases, findRelease } from './releases.js';

/**
 * Returns the methods of a group, or all for `*`; with a release, only those that existed in it. Every expansion of a
 * configuration's lists uses this function.
 *
 * @throws RangeError when the release is not of the form `3.21` or `3.21.0`.
 */
export function membersOf(name: GroupName | '*', release?: string): readonly MethodName[] {
  const methods = name === '*' ? methodNames : (groups.get(name)?.methods ?? []);
  if (release === undefined) return methods;
  return methods.filter((method) => existedIn(method, release));
}

/**
 * Reports whether a method existed in a release of Kata Containers.
 *
 * @throws RangeError when the release is not of the form `3.21` or `3.21.0`.
 */
export function existedIn(method: MethodName, release: string): boolean {
  return cameBy(Object.hasOwn(endpoints, method) ? endpoints[method].release : undefined, release);
}

/**
 * Reports whether a method introduced in `since` existed in `release`. Without a known `since` it never did: a method
 * added without a release is not served under any pin (R16).
 *
 * @throws RangeError when `release` is not of the form `3.21` or `3.21.0`.
 */
export function cameBy(since: string | undefined, release: string): boolean {
  const first = since === undefined ? undefined : findRelease(since);
  // Compared even without a known release, so that a malformed pin is always an error.
  const order = compareReleases(first ?? release, release);
  return first !== undefined && order <= 0;
}
