import { ImageError } from '../errors/image-error.js';
import { formatReference, type ImageReference } from '../reference/reference.js';
import { matchesPattern, parseReferencePattern } from '../reference/reference-pattern.js';
import type { PullSettings } from './pull-request.js';

/** Checks a name against `registries` and `require_digest`. @throws ImageError */
export function checkReference(
  reference: ImageReference,
  { registries, requireDigest }: Pick<PullSettings, 'registries' | 'requireDigest'>,
): void {
  const name = formatReference(reference);
  const matches = (pattern: string): boolean => matchesPattern(parseReferencePattern(pattern), reference);
  if (!registries.every((patterns) => patterns.some(matches)))
    throw new ImageError('registry-not-allowed', `${name} matches no entry of registries`);
  if (requireDigest && reference.digest === undefined)
    throw new ImageError('digest-required', `${name} has no digest`);
}
