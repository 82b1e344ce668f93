import type { TrustedCheckpoint } from '@kata-agent/audit';
import { ExitCode, type Options, parsed, readInput, readReference, withEvidence } from '@kata-agent/cli';
import type { Bundle, ClaimExpectations, Verification } from '@kata-agent/evidence';
import { parseAgentLogCheckpoint, parseAgentLogVerifier, type TreeHash } from '@kata-agent/tlog';
import { readCollateral } from './inputs.js';

/** These links name the caller, the time and the connection: a log is bound the same for every caller. */
export const aboutTheCall: readonly string[] = ['claims.nonce', 'claims.channel', 'claims.tls-key'];

/** A bundle, and the result of verifying it. */
export interface ReadEvidence {
  readonly bundle: Bundle;
  readonly verification: Verification;
}

/**
 * Reads and verifies a bundle with a values file and the options of `readCollateral`. Links about the call need not be checked.
 * Throws a CommandError if a file cannot be read.
 */
export async function readEvidence(
  path: string,
  reference: string,
  options: Options,
  expected: ClaimExpectations = {},
): Promise<ReadEvidence> {
  const { parseBundle, verifyEvidence } = await import('@kata-agent/evidence');
  const values = await readReference(reference);
  const inputs = await readCollateral(options);
  return await withEvidence(ExitCode.Mismatch, () => {
    const bundle = parseBundle(readInput(path));
    const waive = [...values.waive, ...aboutTheCall];
    return { bundle, verification: verifyEvidence(bundle, { ...values, waive }, expected, inputs) };
  });
}

/** The checkpoint of a bundle, with the key and the tree of the log that the evidence binds. */
export type BoundCheckpoint = Required<Pick<TrustedCheckpoint, 'checkpoint' | 'key' | 'bound'>>;

/** Returns the checkpoint that evidence binds; undefined if the evidence is not verified. Throws a CommandError. */
export function boundCheckpoint(
  path: string,
  { bundle, verification: { verified, claims } }: ReadEvidence,
): BoundCheckpoint | undefined {
  if (!verified || claims === undefined) return undefined;
  return {
    checkpoint: parsed(path, () => parseAgentLogCheckpoint(bundle.checkpoint)),
    key: parsed(path, () => parseAgentLogVerifier(claims.logKey)),
    bound: { size: claims.treeSize, root: claims.rootHash as TreeHash },
  };
}
