import type { Digest } from '../reference/digest.js';
import type { KeylessAnnotations } from './keyless/attachment-bundle.js';

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
