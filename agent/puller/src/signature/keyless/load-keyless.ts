import type { SignatureCheck } from '../signature-candidate.js';
import type { KeylessSettings } from './keyless-verifier.js';

let parts: ReturnType<typeof importParts> | undefined;

async function importParts() {
  const { KeylessVerifier } = await import('./keyless-verifier.js');
  const { checkKeyless } = await import('./check-keyless.js');
  return { KeylessVerifier, checkKeyless };
}

/**
 * Loads what only signatures without a key need, once. A confined process cannot resolve modules: it loads them before its system
 * calls are filtered.
 */
export async function loadKeyless(): Promise<void> {
  await (parts ??= importParts());
}

/** Returns what checks signatures by these settings. Rejects with an ImageError for a trusted root that cannot be read. */
export async function keylessCheck(settings: KeylessSettings): Promise<SignatureCheck> {
  const { KeylessVerifier, checkKeyless } = await (parts ??= importParts());
  const verifier = new KeylessVerifier(settings);
  return (candidate, object, reference) => checkKeyless(candidate, object, reference, verifier);
}
