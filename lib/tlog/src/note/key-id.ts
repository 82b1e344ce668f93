import { createHash } from 'node:crypto';
import { type SignatureType, signatureTypes } from './signature-type.js';

/**
 * Returns the id of a key as 8 hex digits: the first 4 bytes of SHA-256(name || 0x0A || signature type || public key)
 * (C2SP signed-note v1.0.0, "Signatures"). It tells keys apart and protects nothing: anybody can make a key with an id.
 */
export function keyId(name: string, type: SignatureType, publicKey: Uint8Array): string {
  const sum = createHash('sha256').update(`${name}\n`).update(Uint8Array.of(signatureTypes[type]));
  return sum.update(publicKey).digest('hex').slice(0, 8);
}
