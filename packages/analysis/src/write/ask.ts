import type { MethodName } from '@kata-agent/catalogue';
import type { RequestFacts } from '@kata-agent/gate';
import type { FactName } from './fact-name.js';

/** One thing that somebody wants served: a call that was seen, or that a workload will cause. */
export interface Ask {
  readonly method: MethodName;
  /** Absent: nothing is known of the request, and no rule is made for the method. */
  readonly facts?: RequestFacts;
  /** The whole command line, where it is known: a log holds its first word alone, a pod all of it. */
  readonly args?: readonly string[];
  /**
   * Patterns of environment names that cannot be listed beforehand, in what RE2 and JavaScript have in common; each
   * with its reason.
   */
  readonly environmentPatterns?: ReadonlyMap<string, string>;
  /** Who wants it: a field of the pod, or a record of the log. It becomes the comment. */
  readonly because: readonly string[];
  /** A better reason for single values; keys are made by `originKey`. */
  readonly origins?: ReadonlyMap<string, string>;
  /** Facts that this ask does not know, with the reason: no rule is made of them, and the text says so. */
  readonly unknown?: ReadonlyMap<FactName, string>;
}
