import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { ValueForm } from '../write/ask.js';
import type { Entry, FactName } from '../write/fact-name.js';
import type { Feature } from './feature.js';

/** One call that a runtime will make for a workload, and why. */
export interface ExpectedCall {
  readonly method: MethodName;
  /** As the agent decodes it. Identifiers and what the cluster assigns are samples; what the pod says is its own. */
  readonly request: Message;
  /** The field of the pod that causes the call: `spec.containers[0].livenessProbe.exec`, or `every pod`. */
  readonly because: string;
  /** What does not work when the call is refused. */
  readonly feature: Feature;
  /** For single values of the request the fields that they come from; keys are made by `originKey`. */
  readonly origins: ReadonlyMap<string, string>;
  /** What rules may rest on beyond what may be recorded of the request, by fact. */
  readonly values: ReadonlyMap<FactName, readonly Entry[]>;
  /** What values look like that the request has only samples of. */
  readonly forms: ReadonlyMap<FactName, readonly ValueForm[]>;
  /** Of a process: the container that it is in, by its name in the pod; empty for the pause container. */
  readonly container?: string;
  /** Names of variables that may be missing: their source is optional. */
  readonly optionalVariables: ReadonlySet<string>;
  /** What the request only guesses at, and why: no rule may rest on it. */
  readonly unknown: ReadonlyMap<FactName, string>;
}
