import { type Diagnostic, renderDiagnostic } from '@kata-agent/config';
import type { Io } from '../../cli/io.js';
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
