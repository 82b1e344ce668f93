import type { MethodName, Release } from '@kata-agent/catalogue';
import type { ExtraRule } from './extra-rule.js';
import type { Entry, FactName } from './fact-name.js';
import type { PlannedAccess } from './planned-access.js';

/** An entry of a list, and who asks for it. */
export interface Wanted<T> {
  readonly value: T;
  /** Not empty, in the order in which they asked. */
  readonly because: readonly string[];
}

/** Values that one container may have and others may not. */
export interface OwnValues {
  /** Its name in the pod; empty: the pause container. `others`: every container but the pause container. */
  readonly container: { readonly name: string } | 'others';
  readonly values: readonly Wanted<Entry>[];
}

/** A rule before it is written: one fact of the requests of one method, and the values that it may have. */
export interface PlannedRule {
  readonly fact: FactName;
  readonly method: MethodName;
  /** For all requests. With no own values and no forms either, the request may have none. */
  readonly values: readonly Wanted<Entry>[];
  /** Beside the values: conditions in CEL. */
  readonly forms: readonly Wanted<string>[];
  /** What only some containers have. */
  readonly own: readonly OwnValues[];
  /** One of several rules that share a list which is too long for one. */
  readonly part?: ListPart;
}

/** What a rule is about of all values: those whose key lies in a range, by UTF-16 units. */
export interface ListPart {
  /** From 1 on. */
  readonly number: number;
  /** Absent: from the first on. */
  readonly from?: string;
  /** Absent: to the last. */
  readonly below?: string;
}

/** A fact that no rule is made of, although some ask has it. */
export interface Unconstrained {
  /** Absent: a rule that is no list. */
  readonly fact?: FactName;
  /** For people: `commands`. */
  readonly name: string;
  readonly method: MethodName;
  readonly why: readonly string[];
}

/** A configuration before it is written. */
export interface Plan {
  /** Kata's release that the API is pinned to. */
  readonly release: Release;
  /** What containers get of the guest. */
  readonly access: PlannedAccess;
  readonly endpoints: readonly Wanted<MethodName>[];
  /** Why the list makes no sense, one sentence each: what was asked for, such as half of a log, may not. */
  readonly senseless: readonly string[];
  readonly rules: readonly PlannedRule[];
  /** Written after the others. */
  readonly extra: readonly ExtraRule[];
  readonly unconstrained: readonly Unconstrained[];
  /** Rules of this plan that no loader would take, be they in parts or not. Nothing stands in their place. */
  readonly tooLong: readonly Unconstrained[];
}
