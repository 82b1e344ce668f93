/** Patterns for values that are not known in advance. */
export interface ValueForm {
  /** CEL for one value, under its name in the fact's rule. */
  readonly condition: string;
  /** Names that such values have. A name in a container's list has only the listed value. */
  readonly names?: RegExp;
  readonly because: string;
}
