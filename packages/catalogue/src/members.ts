import { endpoints } from './endpoints.js';
import { type GroupName, groups } from './groups.js';
import { type MethodName, methodNames } from './methods.js';
import { compareReleases, findRelease } from './releases.js';

/**
 * The methods that a group, or `*` for all, stands for; with a release, those of them that it had. Every expansion of
 * a configuration's lists comes from here.
 *
 * @throws RangeError when the release is not of the form `3.21` or `3.21.0`.
 */
export function membersOf(name: GroupName | '*', release?: string): readonly MethodName[] {
  const methods = name === '*' ? methodNames : (groups.get(name)?.methods ?? []);
  if (release === undefined) return methods;
  return methods.filter((method) => existedIn(method, release));
}

/**
 * Whether a release of Kata Containers had the method.
 *
 * @throws RangeError when the release is not of the form `3.21` or `3.21.0`.
 */
export function existedIn(method: MethodName, release: string): boolean {
  return cameBy(Object.hasOwn(endpoints, method) ? endpoints[method].release : undefined, release);
}

/**
 * Whether what came with the release `since` was there in `release`. What came with no release that has been, came
 * with none: so a method that is added without one is not served under any pin (R16).
 *
 * @throws RangeError when `release` is not of the form `3.21` or `3.21.0`.
 */
export function cameBy(since: string | undefined, release: string): boolean {
  const first = since === undefined ? undefined : findRelease(since);
  // Compared in any case, so that a pin of another form is an error whatever it is asked about.
  const order = compareReleases(first ?? release, release);
  return first !== undefined && order <= 0;
}
