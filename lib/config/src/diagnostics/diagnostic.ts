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

/** The text of a document, with conversion of offsets to positions. Offsets are UTF-16 units, as in the TOML parser. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly #lineStarts: readonly number[];
  // Spans are requested in ascending order: continuing from the last one keeps a long line linear.
  #last: { readonly offset: number; readonly lineStart: number; readonly column: number } = {
    offset: 0,
    lineStart: 0,
    column: 1,
  };

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    const starts = [0];
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    this.#lineStarts = starts;
  }

  /**
   * Returns the position of `[start, end)`. A range that exceeds its first line is truncated there; it is never empty.
   */
  span(start: number, end: number): Span {
    const at = Math.min(Math.max(start, 0), this.text.length);
    const line = this.#lineAt(at);
    const lineStart = this.#lineStarts[line - 1] ?? 0;
    const known = this.#last.lineStart === lineStart && this.#last.offset <= at ? this.#last : undefined;
    const column = (known?.column ?? 1) + codePoints(this.text.slice(known?.offset ?? lineStart, at));
    this.#last = { offset: at, lineStart, column };
    const length = codePoints(this.text.slice(at, Math.min(end, this.#lineEnd(line))));
    return { file: this.file, line, column, endColumn: column + Math.max(length, 1) };
  }

  /** Returns the text of a line, counted from 1, without its newline. */
  line(line: number): string {
    return this.text.slice(this.#lineStarts[line - 1] ?? this.text.length, this.#lineEnd(line));
  }

  error(code: DiagnosticCode, span: Span, message: string, help?: string): Diagnostic {
    return this.#diagnostic('error', code, span, message, help);
  }

  warning(code: DiagnosticCode, span: Span, message: string, help?: string): Diagnostic {
    return this.#diagnostic('warning', code, span, message, help);
  }

  #diagnostic(
    severity: Diagnostic['severity'],
    code: DiagnosticCode,
    span: Span,
    message: string,
    help?: string,
  ): Diagnostic {
    const sourceLine = this.line(span.line);
    return { severity, code, message, span, sourceLine, ...(help === undefined ? {} : { help }) };
  }

  #lineEnd(line: number): number {
    const next = this.#lineStarts[line];
    if (next === undefined) return this.text.length;
    return this.text[next - 2] === '\r' ? next - 2 : next - 1;
  }

  #lineAt(offset: number): number {
    let low = 0;
    let high = this.#lineStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  }
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
