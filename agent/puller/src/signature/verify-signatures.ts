import { formatReference, ImageError, type ImageReference } from '@kata-agent/registry';
import { checkBundle, type SignedObject } from './bundle.js';
import { findSignatures, type SignatureDocuments } from './find-signatures.js';
import { keylessCheck } from './keyless/load-keyless.js';
import type { SignatureCheck } from './signature-candidate.js';
import { checkSimpleSigning } from './simple-signing.js';
import type { SignatureFormat, SignatureRequirement } from './signature-requirements.js';

/** What meets a requirement: a signature, or a digest that it lists. */
export interface VerifiedSignature {
  readonly scope: string;
  readonly format: SignatureFormat | 'digest';
  /** The key or identity that made it. The digest, if that is listed. */
  readonly signer: string;
  readonly signed: 'index' | 'manifest';
  readonly digest: string;
}

export interface SignableObject extends SignedObject {
  readonly kind: 'index' | 'manifest';
}

/**
 * Finds a signature for each requirement: of the index, or of the manifest that was chosen from it. Throws an ImageError when one
 * has none.
 */
export async function verifySignatures(
  documents: SignatureDocuments,
  reference: ImageReference,
  objects: readonly SignableObject[],
  requirements: readonly SignatureRequirement[],
): Promise<readonly VerifiedSignature[]> {
  const verified: VerifiedSignature[] = [];
  for (const requirement of requirements) {
    const reasons = new Set<string>();
    const found = await firstValid(documents, reference, objects, requirement, reasons);
    if (found !== undefined) {
      verified.push(found);
      continue;
    }
    const what = `${formatReference(reference)}, for the scope ${requirement.scope}`;
    if ('digests' in requirement)
      throw new ImageError('signature-invalid', `${what}: its digest is not one of digests`);
    if (reasons.size === 0)
      throw new ImageError('signature-missing', `${what}: no ${requirement.formats.join(' or ')} signature`);
    throw new ImageError(
      'signature-invalid',
      `${what}: no valid signature; those found are ${[...reasons].join('; ')}`,
    );
  }
  return verified;
}

async function firstValid(
  documents: SignatureDocuments,
  reference: ImageReference,
  objects: readonly SignableObject[],
  requirement: SignatureRequirement,
  reasons: Set<string>,
): Promise<VerifiedSignature | undefined> {
  const { scope } = requirement;
  if ('digests' in requirement) {
    const listed = objects.find(({ digest }) => requirement.digests.includes(digest));
    return (
      listed && { scope, format: 'digest', signer: listed.digest, signed: listed.kind, digest: listed.digest }
    );
  }
  const check = await checkOf(requirement);
  for (const object of objects)
    for (const format of requirement.formats)
      for await (const candidate of findSignatures(documents, object.digest, format)) {
        const signer = check(candidate, object, reference);
        if (typeof signer !== 'string')
          return { scope, format, signer: signer.id, signed: object.kind, digest: object.digest };
        reasons.add(signer);
      }
  return undefined;
}

async function checkOf(
  requirement: Exclude<SignatureRequirement, { digests: unknown }>,
): Promise<SignatureCheck> {
  if ('keyless' in requirement) return keylessCheck(requirement.keyless);
  const { keys } = requirement;
  return (candidate, object, reference) =>
    candidate.format === 'bundle'
      ? checkBundle(candidate.bundle, object, keys)
      : checkSimpleSigning(candidate, reference, keys);
}
