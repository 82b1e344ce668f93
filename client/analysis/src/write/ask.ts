import type { Entry, FactName } from '@kata-agent/workloads';
import type { ValueForm } from '@kata-agent/workloads';
import type { MethodName } from '@kata-agent/catalogue';
import type { RequestFacts } from '@kata-agent/gate';

/** One call to allow: recorded, or expected for a workload. */
export interface Ask {
  readonly method: MethodName;
  /** As recorded. Without this and `values`, the request is unknown, and no rule is made for the method. */
  readonly facts?: RequestFacts;
  /** Replaces `facts`: all that is known of the request, by fact. A pod has more than a log can hold. */
  readonly values?: ReadonlyMap<FactName, readonly Entry[]>;
  /** Values that cannot be listed in advance, such as addresses. */
  readonly forms?: ReadonlyMap<FactName, readonly ValueForm[]>;
  /** The name in its pod of the container that the request is about; empty: the pause container. */
  readonly container?: string;
  /** The origin: a field of the pod, or a record of the log. It becomes the comment. */
  readonly because: readonly string[];
  /** A more precise origin for single values; keys are made by `originKey`. */
  readonly origins?: ReadonlyMap<string, string>;
  /** Facts that this ask does not have, with the reason: no rule is made of them, and the text says so. */
  readonly unknown?: ReadonlyMap<FactName, string>;
}
