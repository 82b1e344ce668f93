import type { TrustedCheckpoint } from '@kata-agent/audit';
import { parseAgentLogCheckpoint, parseAgentLogVerifier, type TreeHash } from '@kata-agent/tlog';
import {
  CommandError,
  ExitCode,
  type OptionRow,
  type Options,
  parsed,
  readInput,
  readReference,
  withEvidence,
} from '@kata-agent/cli';
import { collateralOptions, readCollateral } from '../evidence/collateral.js';

/** The options of `readBoundCheckpoint`. */
export const evidenceOptions: readonly OptionRow[] = [
  {
    flags: '--evidence <file>',
    description:
      'a bundle of attest, which binds the log’s key and a tree; without --checkpoint, its checkpoint',
  },
  { flags: '--reference <file>', description: 'the reference values for the evidence: values.json' },
  ...collateralOptions,
];

/** These links name the caller, the time and the connection: a log is bound the same for every caller. */
const aboutTheCall = ['claims.nonce', 'claims.channel', 'claims.tls-key'];

/**
 * Verifies the evidence of `--evidence`, and returns its checkpoint with the key and the tree that it binds. Undefined: the option
 * is not given. Throws a CommandError, with the link that broke.
 */
export async function readBoundCheckpoint(
  options: Options,
): Promise<Required<Pick<TrustedCheckpoint, 'checkpoint' | 'key' | 'bound'>> | undefined> {
  const path = options.text('evidence');
  const reference = options.text('reference');
  if (path === undefined && reference === undefined) return undefined;
  if (path === undefined || reference === undefined)
    throw new CommandError(ExitCode.Usage, '--evidence and --reference belong together', {
      help: ['pass --evidence bundle.json --reference values.json; docs/evidence.md has both forms'],
    });
  const { parseBundle, verifyEvidence } = await import('@kata-agent/evidence');
  const values = await readReference(reference);
  const inputs = await readCollateral(options);
  const { bundle, verification } = await withEvidence(ExitCode.Mismatch, () => {
    const bundle = parseBundle(readInput(path));
    const waive = [...values.waive, ...aboutTheCall];
    return { bundle, verification: verifyEvidence(bundle, { ...values, waive }, {}, inputs) };
  });
  const { verified, result, claims } = verification;
  if (!verified || claims === undefined)
    throw new CommandError(ExitCode.Mismatch, `${path}: ${result}`, {
      help: [`kata-agent-ctl evidence verify ${path} --reference ${reference} prints each link`],
    });
  return {
    checkpoint: parsed(path, () => parseAgentLogCheckpoint(bundle.checkpoint)),
    key: parsed(path, () => parseAgentLogVerifier(claims.logKey)),
    bound: { size: claims.treeSize, root: claims.rootHash as TreeHash },
  };
}
