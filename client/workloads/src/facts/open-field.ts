import type { FactName } from './fact-name.js';

/** A field of a container whose value no rule can state, because the input does not have it. */
export interface OpenField {
  readonly fact: FactName;
  /** In terms of the pod: `args[2]`, `env TOKEN`, `workingDir`. */
  readonly field: string;
  /** What is missing, and how to supply it if that is possible. */
  readonly why: string;
  /** It is code, or the program: the source of the value chooses what runs. */
  readonly isCode?: boolean;
}
