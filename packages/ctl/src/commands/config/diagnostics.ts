import { type Diagnostic, renderDiagnostic } from '@kata-agent/config';
import type { Invocation } from '../../cli/definition.js';
import type { Io } from '../../cli/io.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { styleFor } from '../../output/style.js';

/** Prints each on standard error, with a line between them. */
export function printDiagnostics(io: Io, diagnostics: readonly Diagnostic[]): void {
  const color = styleFor(io.stderr, io.environment).enabled;
  for (const diagnostic of diagnostics) io.stderr.write(`${renderDiagnostic(diagnostic, { color })}\n\n`);
}

/** `1 error`, `2 warnings`: how many there are of a severity. */
export function countOf(diagnostics: readonly Diagnostic[], severity: Diagnostic['severity']): string {
  const count = diagnostics.filter((diagnostic) => diagnostic.severity === severity).length;
  return `${count} ${severity}${count === 1 ? '' : 's'}`;
}

/** What ends a command that cannot work with a file: people have read what is wrong, programs get it with the error. */
export function faulty(
  { io, options }: Invocation,
  diagnostics: readonly Diagnostic[],
  error: { readonly message: string; readonly help: string; readonly exitCode?: ExitCode },
): CommandError {
  if (!options.json) printDiagnostics(io, diagnostics);
  const message = `${error.message}: ${countOf(diagnostics, 'error')}`;
  return new CommandError(error.exitCode ?? ExitCode.Failed, message, { help: [error.help], diagnostics });
}
