import type { ImageReference } from '../../reference/reference.js';
import { type SignedObject, statementFault } from '../bundle.js';
import { payloadFault } from '../simple-signing.js';
import type { SignatureCandidate } from '../signature-candidate.js';
import type { SignerName } from '../signature-check.js';
import { bundleOfAttachment } from './attachment-bundle.js';
import type { KeylessVerifier } from './keyless-verifier.js';

/** Checks a signature without a key. Returns its signer, or why it does not count. */
export function checkKeyless(
  candidate: SignatureCandidate,
  object: SignedObject,
  reference: ImageReference,
  verifier: KeylessVerifier,
): SignerName | string {
  return candidate.format === 'bundle'
    ? checkBundle(candidate.bundle, object, verifier)
    : checkAttachment(candidate, reference, verifier);
}

function checkBundle(
  bundle: Uint8Array,
  { digest, bytes }: SignedObject,
  verifier: KeylessVerifier,
): SignerName | string {
  const signed = verifier.verify(bundle, bytes);
  if (typeof signed === 'string') return signed;
  const fault =
    signed.envelope && statementFault(signed.envelope.payloadType, signed.envelope.payload, digest);
  return fault ?? nameOf(signed.identity);
}

function checkAttachment(
  { payload, signature, digest, keyless }: Extract<SignatureCandidate, { format: 'simple-signing' }>,
  reference: ImageReference,
  verifier: KeylessVerifier,
): SignerName | string {
  if (keyless === undefined) return 'without a certificate and an entry of a transparency log';
  const bundle = bundleOfAttachment(payload, signature, keyless);
  if (bundle === undefined) return 'malformed';
  const signed = verifier.verify(Buffer.from(bundle), payload);
  if (typeof signed === 'string') return signed;
  return payloadFault(payload, digest, reference) ?? nameOf(signed.identity);
}

/** Texts of the configuration, with which the verified certificate agrees. */
function nameOf({ issuer, subject }: { readonly issuer: string; readonly subject: string }): SignerName {
  return { id: `${subject} by ${issuer}` };
}
