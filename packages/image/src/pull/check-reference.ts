import { ImageError } from '../errors/image-error.js';
import { formatReference, type ImageReference } from '../reference/reference.js';
import { matchesPattern, parseReferencePattern } from '../reference/reference-pattern.js';
import type { PullSettings } from './pull-request.js';

/** Reports whether a name matches a pattern of each list. Throws an ImageError for a pattern of the wrong form. */
export function matchesEach(reference: ImageReference, lists: readonly (readonly string[])[]): boolean {
  const matches = (pattern: string): boolean => matchesPattern(parseReferencePattern(pattern), reference);
  return lists.every((patterns) => patterns.some(matches));
}

/** Checks a name against `registries` and `require_digest`. @throws ImageError */
export function checkReference(
  reference: ImageReference,
  { registries, requireDigest }: Pick<PullSettings, 'registries' | 'requireDigest'>,
): void {
  const name = formatReference(reference);
  if (!matchesEach(reference, registries))
    throw new ImageError('registry-not-allowed', `${name} matches no entry of registries`);
  if (requireDigest && reference.digest === undefined)
    throw new ImageError('digest-required', `${name} has no digest`);
}
