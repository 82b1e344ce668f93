import { endpoints } from './endpoints.js';
import { type GroupName, groups } from './groups.js';
import { type MethodName, methodNames } from './methods.js';
import { compareReleases } from './releases.js';

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
  return compareReleases(endpoints[method].release, release) <= 0;
}
