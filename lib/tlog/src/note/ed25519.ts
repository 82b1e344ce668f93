import { createPublicKey, type KeyObject } from 'node:crypto';
import { TextFormError } from '../encoding/text-form-error.js';

/** Returns the 32 bytes of an Ed25519 public key (RFC 8032), of this key or of this private key. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('the key is not an Ed25519 key');
  const { x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  return Buffer.from(String(x), 'base64url');
}

/** Returns the key that 32 bytes encode. Throws a TextFormError. */
export function publicKeyOf(raw: Uint8Array): KeyObject {
  if (raw.byteLength !== 32)
    throw new TextFormError(`an Ed25519 public key has 32 bytes, this one ${raw.byteLength}`);
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}
