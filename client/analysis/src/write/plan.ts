import type { Entry, FactName, ValueForm } from '@kata-agent/workloads';
import type { MethodName, Release } from '@kata-agent/catalogue';
import type { RequestFacts } from '@kata-agent/gate';
import type { ProfileUse } from './profile-use.js';
import type { PlannedAccess } from './planned-access.js';
import type { PlannedAliases, PlannedSecret } from './planned-settings.js';
import type { Wanted } from './reasons.js';

/** A configuration before it is rendered. */
export interface Plan {
  /** The Kata release of the API. */
  readonly release: Release;
  /** `[image] layers = "verified"`: a rule compares them. */
  readonly verifiedLayers?: boolean;
  /** The access of containers to the guest. */
  readonly access: PlannedAccess;
  /** Names of hosts files. */
  readonly aliases: PlannedAliases;
  /** Mounts of directories that the host shares as they are; absent: none. */
  readonly live?: readonly string[];
  /** Volumes that images declare and the guest fills; absent: none. */
  readonly imageVolumes?: readonly string[];
  /** Where sealed secrets are unsealed. */
  readonly secrets: readonly PlannedSecret[];
  /** Repositories of images that the built-in puller may pull; absent: there is no such section. */
  readonly registries?: readonly string[] | undefined;
  readonly endpoints: readonly Wanted<MethodName>[];
  /** Why the list is inconsistent, one sentence each: asks from half of a log can be. */
  readonly inconsistentSeverity: readonly string[];
  readonly rules: readonly PlannedRule[];
  /** Rendered after the others. */
  readonly extra: readonly ExtraRule[];
  /** Facts that no rule constrains. */
  readonly unconstrained: readonly Unconstrained[];
  /** Fields of containers that rules leave open; other fields and containers are not affected. */
  readonly open: readonly OpenFields[];
  /** A profile whose rules are in force besides, with its values; absent: none. */
  readonly use?: ProfileUse;
  /** Rules that the loader would reject, even when split. Nothing replaces them. */
  readonly tooLong: readonly Unconstrained[];
}

/** Facts of the containers: each of each container is one, such as its command line. */
export interface FactScore {
  readonly constrained: number;
  readonly facts: number;
}

/** Values that only some containers can have. */
export interface OwnValues {
  /** Its name in the pod; empty: the pause container. `others`: every container except the pause container. */
  readonly container: { readonly name: string } | 'others';
  readonly values: readonly Wanted<Entry>[];
}

/** A condition for values that are not known in advance. */
export interface PlannedForm {
  /** CEL; absent: any value. */
  readonly condition?: string;
  /** The containers that it is for: their names in the pod, empty for the pause container. */
  readonly containers: readonly string[] | 'all' | 'others';
  /** Variables that it is not for: container and name. */
  readonly except: readonly (readonly [container: string, name: string])[];
  readonly because: readonly string[];
}

/** A rule before it is rendered: one fact of the requests of one method, and its allowed values. */
export interface PlannedRule {
  readonly fact: FactName;
  readonly method: MethodName;
  /** For all requests. If own values and patterns are empty too, requests can have none. */
  readonly values: readonly Wanted<Entry>[];
  /** Conditions in addition to the values. */
  readonly forms: readonly PlannedForm[];
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
  readonly why: readonly string[];
}

/** Fields of a container that no rule states, because the input does not have their values. */
export interface OpenFields {
  /** Its name in the pod, with that of the workload if there are several; empty: the pause container. */
  readonly container: string;
  /** In terms of the pod: `args[2]`, `env TOKEN`, `workingDir`. */
  readonly fields: readonly string[];
  readonly why: string;
}

/** A rule that is not about a fact, with its own expression. */
export interface ExtraRule {
  /** The rule's name after the method's prefix: `links`. */
  readonly name: string;
  readonly method: MethodName;
  /** The rule's purpose, as a comment above it. */
  readonly description: string;
  /** CEL, without an apostrophe. */
  readonly expression: string;
  readonly message: string;
}

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
