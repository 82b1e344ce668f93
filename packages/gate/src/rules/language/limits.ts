/** What an expression may be. Beyond any rule that people write, and far below what would hurt. */
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
  /** UTF-16 units of the source. The parser takes 4 µs for each. */
  source: 16_384,
  /** White space and comments in a row: the parser's time for them grows with the square. */
  blanks: 2_000,
  /** Brackets within brackets. */
  nesting: 32,
  /** Operators within operators, brackets or not. */
  depth: 100,
  /** Of the parsed expression, with what macros expand to. */
  nodes: 6_000,
  /** UTF-16 units of a regular expression. */
  pattern: 1_000,
  /** Instructions of a compiled regular expression: about its letters; `a{500}` has five hundred. */
  patternInstructions: 1_000,
  /** UTF-16 units of a text that is matched. */
  matchedText: 8_000,
  /**
   * What one evaluation of one rule may take; about 12 ms. An operation is a step, a long text some more: enough for
   * a dozen operations on each field of the largest request.
   */
  steps: 250_000,
};
