import { type Diagnostic, renderDiagnostic } from '@kata-agent/config';
import { CommandError, ExitCode, type Invocation, type Io, styleFor } from '@kata-agent/cli';

/** Prints diagnostics on standard error, separated by empty lines. */
export function printDiagnostics(io: Io, diagnostics: readonly Diagnostic[]): void {
  const color = styleFor(io.stderr, io.environment).enabled;
  for (const diagnostic of diagnostics) io.stderr.write(`${renderDiagnostic(diagnostic, { color })}\n\n`);
}

/** Returns `1 error` or `2 warnings`: the number of diagnostics with this severity. */
export function countOf(diagnostics: readonly Diagnostic[], severity: Diagnostic['severity']): string {
  const count = diagnostics.filter((diagnostic) => diagnostic.severity === severity).length;
  return `${count} ${severity}${count === 1 ? '' : 's'}`;
}

/**
 * The error that ends a command on an invalid file: people have seen the diagnostics already, programs get them with
 * the error.
 */
export function faulty(
  { io, options }: Invocation,
  diagnostics: readonly Diagnostic[],
  error: { readonly message: string; readonly help: string; readonly exitCode?: ExitCode },
): CommandError {
  if (!options.json) printDiagnostics(io, diagnostics);
  const message = `${error.message}: ${countOf(diagnostics, 'error')}`;
  return new CommandError(error.exitCode ?? ExitCode.Failed, message, { help: [error.help], diagnostics });
}
