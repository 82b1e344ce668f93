import { writeFileSync } from 'node:fs';
import { CommandError, ExitCode } from '../command/command-error.js';
import { reasonOf } from '../input/read-input.js';

/** Writes a file that an option names. Throws a CommandError (3). */
export function writeOutputFile(path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(path, content);
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `cannot write ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
