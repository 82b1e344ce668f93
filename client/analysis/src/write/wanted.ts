/** An entry of a list, and its reasons. */
export interface Wanted<T> {
  readonly value: T;
  /** At least one, in order. */
  readonly because: readonly string[];
}
