import {
  isJsonArray,
  isJsonObject,
  type Json,
  type JsonObject,
  JsonSyntaxError,
  parseJson,
} from './parse-json.js';

/** Reads members of a JSON object by type. `fail` makes the error of what is being read. */
export class Fields {
  readonly #members: JsonObject;
  readonly #place: string;
  readonly #fail: (text: string) => Error;

  private constructor(members: JsonObject, place: string, fail: (text: string) => Error) {
    this.#members = members;
    this.#place = place;
    this.#fail = fail;
  }

  /** Parses a document that is an object. `what`: its name in errors. */
  static parse(bytes: Uint8Array, what: string, fail: (text: string) => Error): Fields {
    let value: Json;
    try {
      value = parseJson(bytes);
    } catch (error) {
      if (error instanceof JsonSyntaxError) throw fail(`${what} is not valid JSON: ${error.message}`);
      throw error;
    }
    return Fields.of(value, what, fail);
  }

  static of(value: Json | undefined, place: string, fail: (text: string) => Error): Fields {
    if (!isJsonObject(value)) throw fail(`${place} is not an object`);
    return new Fields(value, place, fail);
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  /** The names, in the order of the document. */
  names(): readonly string[] {
    return [...this.#members.keys()];
  }

  get(name: string): Json | undefined {
    return this.#members.get(name);
  }

  string(name: string): string {
    const value = this.#members.get(name);
    if (typeof value !== 'string') throw this.error(name, 'is not a string');
    return value;
  }

  /** Go writes an absent string as null or leaves it out. */
  optionalString(name: string): string | undefined {
    return this.#present(name) ? this.string(name) : undefined;
  }

  /** A number of bytes, or a version. */
  size(name: string): number {
    const value = this.#members.get(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw this.error(name, 'is not an integer from 0 to 2^53 - 1');
    return value;
  }

  object(name: string): Fields {
    return Fields.of(this.#members.get(name), this.#at(name), this.#fail);
  }

  optionalObject(name: string): Fields | undefined {
    return this.#present(name) ? this.object(name) : undefined;
  }

  array(name: string, maxItems: number): readonly Json[] {
    const value = this.#members.get(name);
    if (!isJsonArray(value)) throw this.error(name, 'is not an array');
    if (value.length > maxItems) throw this.error(name, `has more than ${maxItems} items`);
    return value;
  }

  objects(name: string, maxItems: number): readonly Fields[] {
    return this.array(name, maxItems).map((value, index) =>
      Fields.of(value, `${this.#at(name)}[${index}]`, this.#fail),
    );
  }

  strings(name: string, maxItems: number): readonly string[] {
    return this.array(name, maxItems).map((value, index) => {
      if (typeof value !== 'string') throw this.error(`${name}[${index}]`, 'is not a string');
      return value;
    });
  }

  optionalStrings(name: string, maxItems: number): readonly string[] | undefined {
    return this.#present(name) ? this.strings(name, maxItems) : undefined;
  }

  /** An object whose members are strings. Empty when it is absent. */
  stringMap(name: string): ReadonlyMap<string, string> {
    if (!this.#present(name)) return new Map();
    const object = this.object(name);
    return new Map(object.names().map((key) => [key, object.string(key)]));
  }

  /** Bytes in standard base64 with padding. */
  base64(name: string): Uint8Array {
    const text = this.string(name);
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) throw this.error(name, 'is not base64');
    return bytes;
  }

  error(name: string, text: string): Error {
    return this.#fail(`${this.#at(name)} ${text}`);
  }

  #at(name: string): string {
    // Names are ours, but for the keys of a string map.
    return /^[\w.[\]-]{1,100}$/.test(name) ? `${this.#place}.${name}` : `a member of ${this.#place}`;
  }

  #present(name: string): boolean {
    const value = this.#members.get(name);
    return value !== undefined && value !== null;
  }
}
