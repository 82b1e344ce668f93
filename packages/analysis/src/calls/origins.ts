import { type Entry, type FactName, originKey } from '../write/fact-name.js';

/** Collects where the values of one request come from, while it is built. */
export class Origins {
  readonly fields: Map<string, string> = new Map();
  readonly unknown: Map<FactName, string> = new Map();

  /** The first to say something of a value is the one that is believed. */
  of(fact: FactName, value: Entry, because: string): void {
    const key = originKey(fact, value);
    if (!this.fields.has(key)) this.fields.set(key, because);
  }

  guessed(fact: FactName, why: string): void {
    if (!this.unknown.has(fact)) this.unknown.set(fact, why);
  }
}
