import { EvidenceFormError } from '../evidence-error.js';

/** Reads members of a document of Intel, which may have others that are not known here. */
export class JsonFields {
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(json: unknown, path: string) {
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new EvidenceFormError(`${path} is not an object`);
    this.#members = json as Record<string, unknown>;
    this.#path = path;
  }

  text(name: string): string {
    const value = this.#members[name];
    if (typeof value !== 'string') throw this.#error(name, 'is not a text');
    return value;
  }

  integer(name: string, maximum: number): number {
    const value = this.#members[name];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > maximum)
      throw this.#error(name, `is not an integer from 0 to ${maximum}`);
    return value;
  }

  bytes(name: string, length: number): Uint8Array {
    const text = this.text(name);
    if (!/^[0-9a-fA-F]*$/.test(text) || text.length !== 2 * length)
      throw this.#error(name, `is not ${length} bytes in hex`);
    return Buffer.from(text, 'hex');
  }

  /** Returns a time in milliseconds of the epoch. */
  time(name: string): number {
    const text = this.text(name);
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(time)) throw this.#error(name, 'is not a time such as 2026-01-31T12:00:00Z');
    return time;
  }

  inside(name: string): JsonFields {
    return new JsonFields(this.#members[name], `${this.#path}.${name}`);
  }

  /** Returns the items of a list; a list that is not there has none. */
  list<Item>(name: string, parse: (item: JsonFields) => Item): readonly Item[] {
    const value = this.#members[name] ?? [];
    if (!Array.isArray(value)) throw this.#error(name, 'is not a list');
    return value.map((item: unknown, index) =>
      parse(new JsonFields(item, `${this.#path}.${name}[${index}]`)),
    );
  }

  texts(name: string): readonly string[] {
    const value = this.#members[name] ?? [];
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
      throw this.#error(name, 'is not a list of texts');
    return value as string[];
  }

  #error(name: string, fault: string): EvidenceFormError {
    return new EvidenceFormError(`${this.#path}.${name} ${fault}`);
  }
}
