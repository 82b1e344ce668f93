import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { VerifierInputs } from '@kata-agent/evidence';
import {
  CommandError,
  ExitCode,
  type OptionRow,
  type Options,
  readInput,
  unreadable,
  withEvidence,
} from '@kata-agent/cli';

/** The options of `readCollateral`. */
export const collateralOptions: readonly OptionRow[] = [
  {
    flags: '--collateral <dir>',
    description:
      'certificates, revocation lists and, for TDX, TCB info and QE identity, from the vendors; certificates and lists of a CA in tpm_roots',
  },
  {
    flags: '--at <time>',
    description: 'when certificates must be valid: 2026-11-27T00:00:00Z; default: now',
  },
];

/** Reads the collateral that signatures of evidence are verified with. Throws a CommandError. */
export async function readCollateral(
  options: Options,
): Promise<Pick<VerifierInputs, 'collateral'> & { readonly at: number }> {
  const directory = options.text('collateral');
  const { noCollateral, parseCollateral } = await import('@kata-agent/evidence');
  const files =
    directory === undefined
      ? undefined
      : new Map(namesIn(directory).map((name) => [name, readInput(join(directory, name))]));
  const collateral =
    files === undefined ? noCollateral : await withEvidence(ExitCode.Usage, () => parseCollateral(files));
  return { collateral, at: timeOf(options.text('at')) };
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    throw unreadable(directory, error);
  }
}

function timeOf(text: string | undefined): number {
  if (text === undefined) return Date.now();
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new CommandError(ExitCode.Usage, `--at '${text}': must be a time such as 2026-11-27T00:00:00Z`);
}

/** Parses --nonce. Throws a CommandError. */
export function parseNonce(text: string): Uint8Array {
  if (/^(?:[0-9A-Fa-f]{2}){32,64}$/.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  throw new CommandError(ExitCode.Usage, `--nonce '${text}': must be 32 to 64 bytes in hex`, {
    help: ['for example the output of: openssl rand -hex 32'],
  });
}
