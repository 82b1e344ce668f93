import { CommandError, ExitCode } from '@kata-agent/cli';

/** The operand of every audit command. */
export const logOperand = {
  syntax: '<file>',
  description: 'the audit log; older segments beside it are read too',
} as const;

/**
 * Reads an audit log. A system error about the file (for example no permission) is "cannot be applied here";
 * `unreadable` is the exit code if there is no log or if it ends in something other than a record. Rejects with a
 * CommandError.
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
