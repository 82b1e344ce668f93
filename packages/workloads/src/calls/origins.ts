import type { ValueForm } from '../facts/value-form.js';
import { type Entry, type FactName, fuller, originKey } from '../facts/fact-name.js';

/** Collects the origins of a request's values, and facts that its message does not contain. */
export class Origins {
  readonly fields: Map<string, string> = new Map();
  readonly unknown: Map<FactName, string> = new Map();
  /** Variables that can be missing. */
  readonly optionalVariables: Set<string> = new Set();
  /** Variables whose values are in the pod, whatever its image and ConfigMaps contain. */
  readonly statedVariables: Set<string> = new Set();
  /** Patterns for values that are not known in advance; the request has samples. */
  readonly forms: Map<FactName, readonly ValueForm[]> = new Map();

  /** Sets the origin of a value; the first origin is kept. */
  of(fact: FactName, value: Entry, because: string): void {
    const key = originKey(fact, value);
    if (!this.fields.has(key)) this.fields.set(key, because);
  }

  guessed(fact: FactName, why: string): void {
    for (const name of [fact, fuller.get(fact) ?? fact])
      if (!this.unknown.has(name)) this.unknown.set(name, why);
  }

  form(fact: FactName, form: ValueForm): void {
    this.forms.set(fact, [...(this.forms.get(fact) ?? []), form]);
  }
}
