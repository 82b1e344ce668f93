import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';

/** The operand of every audit command. */
export const logOperand = {
  syntax: '<file>',
  says: 'the log; its older segments are found beside it',
} as const;

/**
 * Reads a log. What the system says about the file (it is not there, it may not be read) cannot be applied here;
 * what the log's reader says about its content is a failed verification. Both reject with a CommandError.
 */
export async function withLog<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof CommandError) throw error;
    const fromSystem = (error as NodeJS.ErrnoException).code !== undefined;
    throw new CommandError(
      fromSystem ? ExitCode.CannotApply : ExitCode.Mismatch,
      `audit log ${file}: ${error.message}`,
      { cause: error },
    );
  }
}
