import { type Configuration, describeBinding, describePlace, type SecretSettings } from '@kata-agent/config';
import type { Difference } from './difference.js';

/** Returns differences of the places where sealed secrets are unsealed. Without a document it is done everywhere. */
export function secretDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const [old, now] = [before, after].map(({ documents }) => documents.length > 0);
  const about = 'secret';
  if (old !== now) {
    const name = 'sealed secrets';
    return now === true
      ? [{ about, effect: 'closes', name, why: 'only the places that it names are unsealed' }]
      : [{ about, effect: 'opens', name, why: 'they are unsealed wherever the host puts them' }];
  }
  return [
    ...missing(after.secrets, before.secrets).map(
      (secret): Difference => ({
        about,
        effect: 'opens',
        name: describePlace(secret),
        after: describeBinding(secret),
        why: 'a secret is unsealed there',
      }),
    ),
    ...missing(before.secrets, after.secrets).map(
      (secret): Difference => ({
        about,
        effect: 'closes',
        name: describePlace(secret),
        before: describeBinding(secret),
        why: 'this secret stays sealed there',
      }),
    ),
  ];
}

/** Returns the secrets of a list that another list does not allow. */
function missing(
  list: readonly SecretSettings[],
  other: readonly SecretSettings[],
): readonly SecretSettings[] {
  return list.filter((secret) => !other.some((each) => allows(each, secret)));
}

/** Reports whether whatever `narrow` allows, `wide` allows too. */
function allows(wide: SecretSettings, narrow: SecretSettings): boolean {
  return (
    describePlace(wide) === describePlace(narrow) &&
    (wide.resource === undefined || wide.resource === narrow.resource) &&
    (wide.sha256 === undefined || wide.sha256 === narrow.sha256)
  );
}
