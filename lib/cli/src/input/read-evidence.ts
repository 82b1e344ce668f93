import type { ReferenceValues } from '@kata-agent/evidence';
import { CommandError } from '../command/command-error.js';
import { ExitCode } from '../command/exit-code.js';
import { readInput } from './read-input.js';

/** Reads a values file. Throws a CommandError if it is not valid. */
export async function readReference(path: string): Promise<ReferenceValues> {
  const { parseReferenceValues } = await import('@kata-agent/evidence');
  return await withEvidence(ExitCode.Usage, () => parseReferenceValues(readInput(path)));
}

/** Runs work, whose EvidenceFormErrors end the command with an exit code. */
export async function withEvidence<T>(exitCode: ExitCode, work: () => T): Promise<T> {
  const { EvidenceFormError } = await import('@kata-agent/evidence');
  try {
    return work();
  } catch (error) {
    if (!(error instanceof EvidenceFormError)) throw error;
    throw new CommandError(exitCode, error.message, { cause: error });
  }
}
