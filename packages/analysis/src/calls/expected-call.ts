import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { FactName } from '../write/fact-name.js';
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
  /** What the request only guesses at, and why: no rule may rest on it. */
  readonly unknown: ReadonlyMap<FactName, string>;
}
