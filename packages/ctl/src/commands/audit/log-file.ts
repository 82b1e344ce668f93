import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';

/** The operand of every audit command. */
export const logOperand = {
  syntax: '<file>',
  says: 'the log; its older segments are found beside it',
} as const;

/**
 * Reads a log. What the system says about the file (it may not be read) cannot be applied here; `unreadable` is the
 * exit code of what the log's reader says: there is none, or it ends in what is no record. Rejects with a CommandError.
 */
export async function withLog<T>(file: string, unreadable: ExitCode, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof CommandError) throw error;
    const fromSystem = (error as NodeJS.ErrnoException).code !== undefined;
    throw new CommandError(
      fromSystem ? ExitCode.CannotApply : unreadable,
      `cannot read ${file}: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}
