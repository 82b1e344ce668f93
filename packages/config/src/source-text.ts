import type { Diagnostic, Span } from './diagnostic.js';

/** The text of a document, with what it takes to point into it. Offsets are UTF-16 units, as the TOML parser counts. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly #lineStarts: readonly number[];
  // Spans are asked for in rising order: counting on from the last one keeps a long line linear.
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

  /** The place of `[start, end)`. What runs over the end of its first line is cut there; it is never empty. */
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

  /** The text of a line, counted from 1, without its end. */
  line(line: number): string {
    return this.text.slice(this.#lineStarts[line - 1] ?? this.text.length, this.#lineEnd(line));
  }

  error(span: Span, message: string, help?: string): Diagnostic {
    return this.#diagnostic('error', span, message, help);
  }

  warning(span: Span, message: string, help?: string): Diagnostic {
    return this.#diagnostic('warning', span, message, help);
  }

  #diagnostic(severity: Diagnostic['severity'], span: Span, message: string, help?: string): Diagnostic {
    const sourceLine = this.line(span.line);
    return { severity, message, span, sourceLine, ...(help === undefined ? {} : { help }) };
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
