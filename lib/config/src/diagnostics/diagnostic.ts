import type { DiagnosticCode } from '@kata-agent/catalogue/codes';

/** A range in a text. Lines and columns count from 1; columns count code points; `endColumn` is exclusive. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endColumn: number;
}

/** An error or warning, its place, and how to fix it. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  /** Stable, while the message may change; described by `kata-agent-ctl explain CODE`. */
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly span?: Span;
  /** The complete line that contains `span`, as written. */
  readonly sourceLine?: string;
  /** The nearest valid text, or the command that fixes the problem. */
  readonly help?: string;
}

/** Returns a place in short form: `config.toml:7`. */
export function place(span: Span): string {
  return `${span.file}:${span.line}`;
}
