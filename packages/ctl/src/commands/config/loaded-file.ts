import type { Configuration } from '@kata-agent/config';
import type { Io } from '../../cli/io.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { countOf, printDiagnostics } from './diagnostics.js';
import { loadFile } from './load-file.js';

/**
 * The configuration of a file that a command works with; its warnings are for `config check`. What is wrong with it is
 * printed on standard error, and a CommandError ends the command then.
 */
export async function loadedFile(file: string, io: Io): Promise<Configuration> {
  const loaded = await loadFile(file);
  if (loaded.ok) return loaded.configuration;
  printDiagnostics(io, loaded.diagnostics);
  throw new CommandError(
    loaded.exitCode === 3 ? ExitCode.CannotApply : ExitCode.Failed,
    `${file} cannot be loaded: ${countOf(loaded.diagnostics, 'error')}`,
    { help: [`mend what is said above; kata-agent-ctl config check ${file} says the same`] },
  );
}
