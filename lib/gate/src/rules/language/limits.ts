/** Limits of an expression: far above any real rule, and far below what would be harmful. */
export const ruleLimits: {
  readonly source: number;
  readonly blanks: number;
  readonly nesting: number;
  readonly depth: number;
  readonly nodes: number;
  readonly pattern: number;
  readonly patternInstructions: number;
  readonly matchedText: number;
  readonly steps: number;
} = {
  /** UTF-16 units of the source. Parsing takes 4 µs per unit. */
  source: 16_384,
  /** Consecutive white space and comments, for which parsing time is quadratic. */
  blanks: 2_000,
  /** Nested brackets. */
  nesting: 32,
  /** Nested operators, with or without brackets. */
  depth: 100,
  /** Nodes of the parsed expression, expanded macros included. */
  nodes: 6_000,
  /** UTF-16 units of a regular expression. */
  pattern: 1_000,
  /** Instructions of a compiled regular expression: about one per letter; `a{500}` has five hundred. */
  patternInstructions: 1_000,
  /** UTF-16 units of a matched text. */
  matchedText: 8_000,
  /**
   * Steps of one evaluation of one rule, about 12 ms. An operation takes one step, a long text some more: enough for a
   * dozen operations on each field of the largest request.
   */
  steps: 250_000,
};
