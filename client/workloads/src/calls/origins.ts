import type { ValueForm } from '../facts/value-form.js';
import { type Entry, type FactName, fuller, originKey } from '../facts/fact-name.js';
import type { OpenField } from '../facts/open-field.js';

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
