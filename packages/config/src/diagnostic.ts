/** A place in a text. Lines and columns count from 1; columns count code points; `endColumn` is exclusive. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endColumn: number;
}

/** What is wrong or doubtful, where, and what mends it. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly span?: Span;
  /** The whole line that `span` lies in, as it was written. */
  readonly sourceLine?: string;
  /** The nearest valid text, or the command that mends it. */
  readonly help?: string;
}

/** A place in short: `config.toml:7`. */
export function place(span: Span): string {
  return `${span.file}:${span.line}`;
}
