import { createHmac, createSecretKey, randomBytes } from 'node:crypto';

/** Returns the digest of a request that is recorded, in lower-case hex. */
export type Digest = (payload: Uint8Array) => string;

/**
 * HMAC-SHA-256 under a key that never leaves this closure: without the key, a short secret in a request cannot be
 * guessed from its digest. Equal requests of one boot have equal digests.
 */
export function createDigest(key: Uint8Array = randomBytes(32)): Digest {
  const secret = createSecretKey(key);
  return (payload) => createHmac('sha256', secret).update(payload).digest('hex');
}
