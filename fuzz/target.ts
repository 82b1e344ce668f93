import type { Random } from './random.js';

/** Something that must withstand any input. */
export interface Target {
  readonly name: string;
  /** What is promised; printed with a failure. */
  readonly promise: string;
  /** Inputs that may be tried at once, for a target that waits for files; 1 if absent. */
  readonly atOnce?: number;
  /** Makes one input from the numbers given, tries it, and throws when the promise was broken. */
  run(random: Random): Promise<void> | undefined;
}
