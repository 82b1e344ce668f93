import type { Diagnostic, Span } from './diagnostic.js';
import type { SourceText } from './source-text.js';

// More than anyone reads; a hostile text must not make thousands.
const most = 100;

/** What is found in one text, collected so that all of it can be told at once. */
export class Report {
  readonly source: SourceText;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(source: SourceText) {
    this.source = source;
  }

  error(span: Span, message: string, help?: string): void {
    this.#add(this.source.error(span, message, help));
  }

  warning(span: Span, message: string, help?: string): void {
    this.#add(this.source.warning(span, message, help));
  }

  /** There is no room for more, which is an error by itself: who collects may stop, and the text is refused. */
  get full(): boolean {
    return this.#diagnostics.length > most;
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

  #add(diagnostic: Diagnostic): void {
    if (this.#diagnostics.length < most) this.#diagnostics.push(diagnostic);
    else if (!this.full) {
      const message = `there are more than ${most} faults: the rest is not told`;
      this.#diagnostics.push({ ...diagnostic, severity: 'error', message, help: 'mend these first' });
    }
  }
}
