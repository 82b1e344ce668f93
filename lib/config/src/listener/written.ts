import type { Span } from '../diagnostics/diagnostic.js';

/** A value and its position. */
export interface Written<T> {
  readonly value: T;
  readonly span: Span;
}
