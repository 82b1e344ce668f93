import type { MethodName } from '@kata-agent/catalogue';
import type { RequestFacts } from '@kata-agent/gate';
import type { Entry, FactName } from './fact-name.js';

/** One thing that somebody wants served: a call that was seen, or that a workload will cause. */
export interface Ask {
  readonly method: MethodName;
  /** As recorded. Neither these nor `values`: nothing is known of the request, and no rule is made for the method. */
  readonly facts?: RequestFacts;
  /** Instead of `facts`, all that is known of the request, by fact: a pod tells more than a log may hold. */
  readonly values?: ReadonlyMap<FactName, readonly Entry[]>;
  /** Values that cannot be listed beforehand, such as addresses. */
  readonly forms?: ReadonlyMap<FactName, readonly ValueForm[]>;
  /** The name in its pod of the container that the request is about; empty: the pause container. */
  readonly container?: string;
  /** Who wants it: a field of the pod, or a record of the log. It becomes the comment. */
  readonly because: readonly string[];
  /** A better reason for single values; keys are made by `originKey`. */
  readonly origins?: ReadonlyMap<string, string>;
  /** Facts that this ask does not know, with the reason: no rule is made of them, and the text says so. */
  readonly unknown?: ReadonlyMap<FactName, string>;
}

/** What values look like that nobody knows beforehand. */
export interface ValueForm {
  /** CEL, about one value as the fact's rule names it. */
  readonly condition: string;
  /** Names that such values have. One that stands in a container's list has the value there, and no other. */
  readonly names?: RegExp;
  readonly because: string;
}
