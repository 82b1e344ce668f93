import type { Diagnostic, Span } from './diagnostic.js';
import type { SourceText } from './source-text.js';

/** What is found in one text, collected so that all of it can be told at once. */
export class Report {
  readonly source: SourceText;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(source: SourceText) {
    this.source = source;
  }

  error(span: Span, message: string, help?: string): void {
    this.#diagnostics.push(this.source.error(span, message, help));
  }

  warning(span: Span, message: string, help?: string): void {
    this.#diagnostics.push(this.source.warning(span, message, help));
  }

  get failed(): boolean {
    return this.#diagnostics.some(({ severity }) => severity === 'error');
  }

  /** In the order of the text. */
  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics.toSorted(
      (a, b) => (a.span?.line ?? 0) - (b.span?.line ?? 0) || (a.span?.column ?? 0) - (b.span?.column ?? 0),
    );
  }
}
