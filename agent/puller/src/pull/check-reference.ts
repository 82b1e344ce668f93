import {
  formatReference,
  ImageError,
  type ImageReference,
  matchesPattern,
  parseReferencePattern,
} from '@kata-agent/registry';
import { requirementsFor, type SignatureRequirement } from '../signature/signature-requirements.js';
import type { PullSettings } from './pull-request.js';

/**
 * Checks a name against `registries`, `require_digest` and the scopes of `signatures`, without the network, and returns the
 * signatures that its image needs. @throws ImageError
 */
export function checkReference(
  reference: ImageReference,
  settings: Omit<PullSettings, 'credentials'>,
): readonly SignatureRequirement[] {
  const { registries, requireDigest, signatures } = settings;
  const name = formatReference(reference);
  if (!matchesEach(reference, registries))
    throw new ImageError('registry-not-allowed', `${name} matches no entry of registries`);
  if (requireDigest && reference.digest === undefined)
    throw new ImageError('digest-required', `${name} has no digest`);
  return requirementsFor(reference, signatures);
}

/** Reports whether a name matches a pattern of each list. Throws an ImageError for a pattern of the wrong form. */
function matchesEach(reference: ImageReference, lists: readonly (readonly string[])[]): boolean {
  const matches = (pattern: string): boolean => matchesPattern(parseReferencePattern(pattern), reference);
  return lists.every((patterns) => patterns.some(matches));
}
