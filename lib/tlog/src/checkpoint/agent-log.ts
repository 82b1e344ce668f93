import { createHash, type KeyObject } from 'node:crypto';
import { LogVerifier, parseVerifier, rawPublicKey } from '../note/verifiers.js';
import { LogSigner } from '../note/signers.js';
import { quote, TextFormError } from '../text-form.js';
import { parseCheckpoint, type UnverifiedCheckpoint } from './checkpoint.js';

/**
 * Returns the origin of an agent's log, which is also the name of its key: `kata-agent/` and the SHA-256 of the 32 bytes
 * of its Ed25519 public key, in hex (docs/trust.md, "The audit log"). So an origin has one key.
 */
export function agentLogOrigin(publicKey: Uint8Array): string {
  return `kata-agent/${createHash('sha256').update(publicKey).digest('hex')}`;
}

/** Returns the signer of an agent's log, of its Ed25519 private key. */
export function agentLogSigner(privateKey: KeyObject): LogSigner {
  return new LogSigner(agentLogOrigin(rawPublicKey(privateKey)), privateKey);
}

/** Returns the verifier of an agent's log, of the 32 bytes of its public key. Throws a TextFormError. */
export function agentLogVerifier(publicKey: Uint8Array): LogVerifier {
  return new LogVerifier(agentLogOrigin(publicKey), publicKey);
}

/** Parses the verifier of an agent's log: its name must be the origin of its key. Throws a TextFormError. */
export function parseAgentLogVerifier(text: string): LogVerifier {
  const verifier = parseVerifier(text);
  if (verifier instanceof LogVerifier && verifier.name === agentLogOrigin(verifier.publicKey))
    return verifier;
  throw new TextFormError(`key ${JSON.stringify(text)}: it is not the key of an agent's log`);
}

/** Parses a checkpoint of an agent's log, so that its origin can be printed. Verifies nothing. Throws a TextFormError. */
export function parseAgentLogCheckpoint(input: Uint8Array | string): UnverifiedCheckpoint {
  const checkpoint = parseCheckpoint(input);
  if (/^kata-agent\/[0-9a-f]{64}$/.test(checkpoint.origin)) return checkpoint;
  throw new TextFormError(
    `checkpoint, line 1: ${quote(checkpoint.origin)} is not the origin of an agent's log`,
  );
}
