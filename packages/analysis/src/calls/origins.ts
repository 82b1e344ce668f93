import type { ValueForm } from '../write/ask.js';
import { type Entry, type FactName, fuller, originKey } from '../write/fact-name.js';

/** Collects where the values of one request come from, while it is built, and what its message cannot tell. */
export class Origins {
  readonly fields: Map<string, string> = new Map();
  readonly unknown: Map<FactName, string> = new Map();
  /** Variables that may be missing. */
  readonly optionalVariables: Set<string> = new Set();
  /** What values look like that nobody knows beforehand; the request holds samples. */
  readonly forms: Map<FactName, readonly ValueForm[]> = new Map();

  /** The first to say something of a value is the one that is believed. */
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
