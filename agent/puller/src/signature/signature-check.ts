import type { ImageReference } from '../reference/reference.js';
import type { SignedObject } from './bundle.js';
import type { SignatureCandidate } from './signature-candidate.js';

/** The signer of a verified signature. */
export interface SignerName {
  /** Of a key `sha256:` and the hash of its SubjectPublicKeyInfo, of an identity `SUBJECT by ISSUER`. */
  readonly id: string;
}

/** Returns the signer of a signature, or why it does not count. */
export type SignatureCheck = (
  candidate: SignatureCandidate,
  object: SignedObject,
  reference: ImageReference,
) => SignerName | string;
