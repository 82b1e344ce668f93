import type { DiagnosticCode } from '@kata-agent/catalogue/codes';
import type { Diagnostic, Span } from './diagnostic.js';
import type { SourceText } from './source-text.js';

// Limit for hostile texts, which could cause thousands of diagnostics.
const max = 100;

/** Collects the diagnostics of one text, so that all are reported at once. */
export class Report {
  readonly source: SourceText;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(source: SourceText) {
    this.source = source;
  }

  error(code: DiagnosticCode, span: Span, message: string, help?: string): void {
    this.#add(this.source.error(code, span, message, help));
  }

  warning(code: DiagnosticCode, span: Span, message: string, help?: string): void {
    this.#add(this.source.warning(code, span, message, help));
  }

  /** The limit is reached, which is itself an error: the caller may stop, and the text is rejected. */
  get full(): boolean {
    return this.#diagnostics.length > max;
  }

  get failed(): boolean {
    return this.#diagnostics.some(({ severity }) => severity === 'error');
  }

  /** The diagnostics in the order of the text. */
  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics.toSorted(
      (a, b) => (a.span?.line ?? 0) - (b.span?.line ?? 0) || (a.span?.column ?? 0) - (b.span?.column ?? 0),
    );
  }

  #add(diagnostic: Diagnostic): void {
    if (this.#diagnostics.length < max) this.#diagnostics.push(diagnostic);
    else if (!this.full) {
      const message = `there are more than ${max} errors: the rest is not shown`;
      this.#diagnostics.push({
        ...diagnostic,
        severity: 'error',
        code: 'KA1007',
        message,
        help: 'fix these first',
      });
    }
  }
}
