import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ImageError } from '@kata-agent/registry';

/** A key that signs images. */
export interface PublicKey {
  /** `sha256:` and the hash of its SubjectPublicKeyInfo, in hex. */
  readonly id: string;
  /** Reports whether a signature is valid for a message. */
  readonly verify: (message: Uint8Array, signature: Uint8Array) => boolean;
}

/**
 * Parses a public key in PEM: ECDSA on P-256, Ed25519, or RSA with 2048 to 8192 bits, as `cosign generate-key-pair` and `skopeo
 * generate-sigstore-key` make them. Signatures are ECDSA with SHA-256 in DER, Ed25519, and RSA with PKCS #1 v1.5 and SHA-256.
 * Throws an ImageError.
 */
export function parsePublicKey(pem: string): PublicKey {
  const invalid = (why: string): ImageError =>
    new ImageError('settings-invalid', `a key of signatures ${why}`);
  // createPublicKey also takes a private key, and a certificate, whose dates and usages nobody would look at.
  if (!/^\s*-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----\s*$/.test(pem))
    throw invalid('is not one PUBLIC KEY in PEM');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw invalid('is not a public key');
  }
  const algorithm = algorithmOf(key);
  if (algorithm === undefined)
    throw invalid('is neither ECDSA on P-256, Ed25519, nor RSA with 2048 to 8192 bits');
  const spki = key.export({ type: 'spki', format: 'der' });
  return {
    id: `sha256:${createHash('sha256').update(spki).digest('hex')}`,
    verify: (message, signature) => {
      try {
        return verify(algorithm.hash, message, key, signature);
      } catch {
        return false;
      }
    },
  };
}

function algorithmOf(key: KeyObject): { readonly hash: 'sha256' | null } | undefined {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return { hash: null };
    case 'ec':
      return namedCurve === 'prime256v1' ? { hash: 'sha256' } : undefined;
    case 'rsa':
      return modulusLength >= 2_048 && modulusLength <= 8_192 ? { hash: 'sha256' } : undefined;
    case undefined:
    default:
      return undefined;
  }
}
