import type { Digest, ImageReference } from '@kata-agent/registry';
import type { SignedObject } from './bundle.js';

/** A signature that the registry has. Nothing of it is verified, but that it belongs to the digest by its place. */
export type SignatureCandidate =
  | {
      readonly format: 'simple-signing';
      /** Of the index or manifest that it must sign. */
      readonly digest: Digest;
      /** The signed bytes. */
      readonly payload: Uint8Array;
      readonly signature: Uint8Array;
      /** Absent: made with a key. */
      readonly keyless?: KeylessAnnotations;
    }
  | {
      readonly format: 'bundle';
      readonly digest: Digest;
      /** The JSON text of a Sigstore bundle. */
      readonly bundle: Uint8Array;
    };

/** What cosign's attachments have beside the signature: PEM, and the answer of Rekor. */
export interface KeylessAnnotations {
  readonly certificate: string;
  readonly bundle: string;
}

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
