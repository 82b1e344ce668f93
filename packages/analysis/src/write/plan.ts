import type { Entry, FactName } from '@kata-agent/workloads';
import type { MethodName, Release } from '@kata-agent/catalogue';
import type { ExtraRule } from './extra-rule.js';
import type { PlannedAccess } from './planned-access.js';
import type { Wanted } from './wanted.js';

/** Values that only some containers can have. */
export interface OwnValues {
  /** Its name in the pod; empty: the pause container. `others`: every container except the pause container. */
  readonly container: { readonly name: string } | 'others';
  readonly values: readonly Wanted<Entry>[];
}

/** A rule before it is rendered: one fact of the requests of one method, and its allowed values. */
export interface PlannedRule {
  readonly fact: FactName;
  readonly method: MethodName;
  /** For all requests. If own values and patterns are empty too, requests can have none. */
  readonly values: readonly Wanted<Entry>[];
  /** Conditions in CEL, in addition to the values. */
  readonly forms: readonly Wanted<string>[];
  /** Values of only some containers. */
  readonly own: readonly OwnValues[];
  /** Set for one of several rules that share a list too long for one. */
  readonly part?: ListPart;
}

/** The range of values that a rule covers: keys in UTF-16 order. */
export interface ListPart {
  /** Starts at 1. */
  readonly number: number;
  /** Absent: from the first value. */
  readonly from?: string;
  /** Absent: to the last value. */
  readonly below?: string;
}

/** A fact without a rule, although some ask has it. */
export interface Unconstrained {
  /** Absent: a rule that is not a list. */
  readonly fact?: FactName;
  /** For people: `commands`. */
  readonly name: string;
  readonly method: MethodName;
  /** Names of the containers that it is about; absent: all. */
  readonly containers?: readonly string[];
  readonly why: readonly string[];
}

/** A configuration before it is rendered. */
export interface Plan {
  /** The Kata release of the API. */
  readonly release: Release;
  /** `[image] layers = "verified"`: a rule compares them. */
  readonly verifiedLayers?: boolean;
  /** The access of containers to the guest. */
  readonly access: PlannedAccess;
  /** Repositories of images that the built-in puller may pull; absent: there is no such section. */
  readonly registries?: readonly string[] | undefined;
  readonly endpoints: readonly Wanted<MethodName>[];
  /** Why the list is inconsistent, one sentence each: asks from half of a log can be. */
  readonly senseless: readonly string[];
  readonly rules: readonly PlannedRule[];
  /** Rendered after the others. */
  readonly extra: readonly ExtraRule[];
  /** What no rule constrains. */
  readonly unconstrained: readonly Unconstrained[];
  /** Rules that the loader would reject, even when split. Nothing replaces them. */
  readonly tooLong: readonly Unconstrained[];
}
