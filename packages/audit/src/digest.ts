import { createHmac, createSecretKey, randomBytes } from 'node:crypto';

/** Turns a request's bytes into what is recorded of them, in lower-case hex. */
export type Digest = (payload: Uint8Array) => string;

/**
 * HMAC-SHA-256 under a key that is made here and leaves this closure never: without the key, a short secret
 * in a request cannot be guessed from its digest. Equal requests of one boot have equal digests.
 */
export function createDigest(key: Uint8Array = randomBytes(32)): Digest {
  const secret = createSecretKey(key);
  return (payload) => createHmac('sha256', secret).update(payload).digest('hex');
}
