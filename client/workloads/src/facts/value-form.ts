/** A condition for values that are not known in advance. It applies to one container. */
export interface ValueForm {
  /** CEL for one value, under its name in the fact's rule. Absent: any value. */
  readonly condition?: string;
  /** The name of the only variable that it is about. */
  readonly variable?: string;
  /**
   * Names of variables that it is about. A name that the container has in its list, or as `variable` of another form, is not among them.
   */
  readonly names?: RegExp;
  readonly because: string;
}
