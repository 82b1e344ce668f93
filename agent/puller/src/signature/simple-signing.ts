import { FormError, JsonFields } from '@kata-agent/base';
import { type Digest, type ImageReference, parseReference, repositoryName } from '@kata-agent/registry';
import type { SignatureCandidate } from './signature-candidate.js';
import type { PublicKey } from './public-key.js';

/** The type of a payload of cosign, which skopeo writes too. */
const payloadType = 'cosign container image signature';

/**
 * Checks a signature in the form of cosign's attachments: over a JSON text that names a digest and a repository. Returns the key that
 * made it, or why the signature does not count.
 */
export function checkSimpleSigning(
  { payload, signature, digest }: Extract<SignatureCandidate, { format: 'simple-signing' }>,
  reference: ImageReference,
  keys: readonly PublicKey[],
): PublicKey | string {
  // Nothing of the payload is read before its signature is valid.
  const key = keys.find((each) => each.verify(payload, signature));
  if (key === undefined) return 'made by another key';
  return payloadFault(payload, digest, reference) ?? key;
}

/** Returns why a signed text does not name the image; undefined: it does. */
export function payloadFault(
  payload: Uint8Array,
  digest: Digest,
  reference: ImageReference,
): string | undefined {
  try {
    const critical = JsonFields.parse(payload, 'the signed text').object('critical');
    if (critical.string('type') !== payloadType) return 'of another type';
    if (critical.object('image').string('docker-manifest-digest') !== digest) return 'for another digest';
    const signed = critical.object('identity').string('docker-reference');
    return namesImage(signed, reference) ? undefined : 'for another repository or tag';
  } catch (error) {
    if (error instanceof FormError) return 'of a malformed text';
    throw error;
  }
}

/**
 * Reports whether a signed name is that of the image: of the same repository, and, where both name only a tag, of the same tag. cosign
 * signs the repository alone, skopeo also the tag.
 */
function namesImage(signed: string, reference: ImageReference): boolean {
  let parsed: ImageReference;
  try {
    parsed = parseReference(signed);
  } catch {
    return false;
  }
  if (repositoryName(parsed) !== repositoryName(reference)) return false;
  if (reference.digest !== undefined) return true;
  const signedTag = /:[^/@]+(?:@|$)/.test(signed.slice(signed.lastIndexOf('/') + 1)) ? parsed.tag : undefined;
  return signedTag === undefined || signedTag === reference.tag;
}
