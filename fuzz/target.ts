import type { Random } from './random.js';

/** Code that must handle any input. */
export interface Target {
  readonly name: string;
  /** The property, printed on failure. */
  readonly promise: string;
  /** The maximum of concurrent inputs, for a target that waits for files; 1 if absent. */
  readonly atOnce?: number;
  /** Generates one input from the numbers, runs it, and throws if the property does not hold. */
  run(random: Random): Promise<void> | undefined;
}
