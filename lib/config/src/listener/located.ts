import type { Span } from '../diagnostics/diagnostic.js';

/** A value and its position. */
export interface Located<T> {
  readonly value: T;
  readonly span: Span;
}
