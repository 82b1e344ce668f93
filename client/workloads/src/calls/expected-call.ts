import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import {
  type Entry,
  type FactName,
  fuller,
  type OpenField,
  originKey,
  type ValueForm,
} from '../facts/fact.js';
import type { Feature } from '../pod/feature.js';
import type { MountedVolume } from './mounted-volume.js';

/** Collects the origins of a request's values, and facts that its message does not contain. */
export class Origins {
  readonly fields: Map<string, string> = new Map();
  readonly unknown: Map<FactName, string> = new Map();
  /** Fields that no rule can state. */
  readonly open: OpenField[] = [];
  /** Variables that can be missing. */
  readonly optionalVariables: Set<string> = new Set();
  /** Conditions for values that are not known in advance; the request has samples. */
  readonly forms: Map<FactName, readonly ValueForm[]> = new Map();

  /** Sets the origin of a value; the first origin is kept. */
  of(fact: FactName, value: Entry, because: string): void {
    const key = originKey(fact, value);
    if (!this.fields.has(key)) this.fields.set(key, because);
  }

  /** Records that the request's value of a fact is only a sample. */
  guessed(fact: FactName, why: string): void {
    for (const name of [fact, fuller.get(fact) ?? fact])
      if (!this.unknown.has(name)) this.unknown.set(name, why);
  }

  /** Records a field that no rule can state. `form` is all that is known of it. */
  opened(field: OpenField, form: Omit<ValueForm, 'because'>): void {
    this.open.push(field);
    this.form(field.fact, { ...form, because: field.why });
  }

  form(fact: FactName, form: ValueForm): void {
    this.forms.set(fact, [...(this.forms.get(fact) ?? []), form]);
  }
}

/** One call that a runtime is expected to make for a workload, and its reason. */
export interface ExpectedCall {
  readonly method: MethodName;
  /**
   * The decoded request. Identifiers and values that the cluster assigns are samples; values from the pod are exact.
   */
  readonly request: Message;
  /** The pod field that causes the call: `spec.containers[0].livenessProbe.exec`, or `every pod`. */
  readonly because: string;
  /** What does not work if the call is denied. */
  readonly feature: Feature;
  /** The fields that single values of the request come from; keys are made by `originKey`. */
  readonly origins: ReadonlyMap<string, string>;
  /** Values that rules can use beyond those that can be recorded, by fact. */
  readonly values: ReadonlyMap<FactName, readonly Entry[]>;
  /** For CreateContainer: what each mount is of whose source the runtime chooses. */
  readonly volumes?: readonly MountedVolume[];
  /** Patterns for values of which the request has only samples. */
  readonly forms: ReadonlyMap<FactName, readonly ValueForm[]>;
  /** For a process, its container's name in the pod; empty for the pause container. */
  readonly container?: string;
  /** Names of variables that can be missing: their source is optional. */
  readonly optionalVariables: ReadonlySet<string>;
  /** CEL of each word of a first process's command line; absent: unknown. */
  readonly words?: readonly string[];
  /** Facts of which the request has only a sample, with the reason: `forms` and `values` have what is known of them. */
  readonly unknown: ReadonlyMap<FactName, string>;
  /** Fields that no rule can state. */
  readonly open: readonly OpenField[];
}
