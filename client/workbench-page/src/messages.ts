import type { OffsetCompletion, OffsetDiagnostic } from '@kata-agent/language-server/by-offset';

// What the page of the workbench asks, and what kata-agent-ctl answers, as JSON.

/** The body of each question; `offset` is in the configuration, in UTF-16 code units as every offset here. */
export interface Question {
  readonly configuration: string;
  readonly pod: string;
  readonly offset?: number;
}

/** What the agent does with the calls of one method that a workload causes. */
export interface CallResult {
  readonly method: string;
  /** Why it refuses one, each reason once; empty: it serves all. */
  readonly refusals: readonly string[];
}

export interface WorkloadResult {
  /** Such as `Pod web`. */
  readonly name: string;
  readonly sufficient: boolean;
  /** In the order of the first call of each method. */
  readonly calls: readonly CallResult[];
  /** What the agent refuses by name, whatever the rules are or with this configuration. */
  readonly unbuilt: readonly string[];
  /** The smallest change of the configuration with which the workload runs. */
  readonly changes: readonly string[];
  readonly unchecked: readonly string[];
}

export interface CheckAnswer {
  readonly findings: readonly OffsetDiagnostic[];
  /** Why the pod cannot be read. */
  readonly podError?: string;
  /** Empty while the configuration does not load or there is no pod. */
  readonly workloads: readonly WorkloadResult[];
  /** How many facts of the pod a generated configuration constrains, and which not; absent without a pod. */
  readonly facts?: { readonly constrained: number; readonly facts: number; readonly open: readonly string[] };
}

/** What it leaves open or denies is in the answer to the check that follows. */
export interface GenerateAnswer {
  readonly configuration: string;
}

/** The answer to each question, by its path. */
export interface Answers {
  readonly check: CheckAnswer;
  readonly generate: GenerateAnswer;
  readonly complete: readonly OffsetCompletion[];
}

export type QuestionKind = keyof Answers;

/** The header that carries the token of the page's address. */
export const tokenHeader = 'x-workbench-token';
