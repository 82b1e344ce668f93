import type { MethodName } from '../methods.js';

/** What shows a difference: methods, or a part of the agent that is not a method. */
export type Part = 'configuration' | 'every method' | 'start' | 'containers' | 'side channels' | 'guest';

/** A deliberate difference from the agent of Kata Containers (4.1.0). */
export interface Difference {
  readonly of: readonly [MethodName, ...MethodName[]] | Part;
  readonly kata: string;
  readonly ours: string;
  readonly why: string;
  /** Those to whom it makes a difference. */
  readonly noticedBy: string;
  /** The test that shows ours. */
  readonly test: NamedTest;
  /** Tests of what `test` does not show. */
  readonly also?: readonly NamedTest[];
}

/** A file without `.test.ts`, and a part of the name of a test in it. */
type NamedTest = readonly [file: string, name: string];

/** By id. Ids are stable: tests and comparisons of both agents cite them. */
export type DifferenceRows = Readonly<Record<string, Difference>>;
