import { isRecord } from './is-record.js';
import { type Json, JsonSyntaxError, parseJson } from './parse-json.js';

/** What is wrong with a document. */
export interface JsonFault {
  /** The object, as in errors: `the manifest` or `the manifest.layers[0]`. */
  readonly owner: string;
  /** Of the object; undefined: the object itself. */
  readonly member?: string;
  /** What was expected, as `a string`; undefined: the fault is another one. */
  readonly wanted?: string;
}

/** Makes the error of what is being read. `text`: `the manifest.size is not an integer from 0 to 4`, or in words of its own. */
export type JsonFail = (text: string, fault: JsonFault) => Error;

/** A document does not have the form that it must have: the answer of callers that do not distinguish further. */
export class FormError extends Error {
  override readonly name = 'FormError';
}

const formError: JsonFail = (text) => new FormError(text);

/**
 * Reads members of a JSON object by type: of a document of another party. Members that are not read are ignored, or refused by
 * `end`. How many bytes there may be is limited where they are received; the number of items of a list is limited here.
 */
export class JsonFields {
  readonly #members: ReadonlyMap<string, unknown>;
  readonly #owner: string;
  readonly #fail: JsonFail;
  readonly #unread: Set<string>;

  protected constructor(members: ReadonlyMap<string, unknown>, owner: string, fail: JsonFail) {
    this.#members = members;
    this.#owner = owner;
    this.#fail = fail;
    this.#unread = new Set(members.keys());
  }

  /** Parses a document that is an object, by `parseJson`: one in which a name occurs twice is refused. `what`: its name in errors. */
  static parse(bytes: Uint8Array, what: string, fail: JsonFail = formError): JsonFields {
    let value: Json;
    try {
      value = parseJson(bytes);
    } catch (error) {
      if (error instanceof JsonSyntaxError)
        throw fail(`${what} is not valid JSON: ${error.message}`, { owner: what });
      throw error;
    }
    return JsonFields.of(value, what, fail);
  }

  /** Reads what `parseJson` or `JSON.parse` has returned. */
  static of(value: unknown, owner: string, fail: JsonFail = formError): JsonFields {
    if (value instanceof Map) return new JsonFields(value as ReadonlyMap<string, unknown>, owner, fail);
    if (isRecord(value)) return new JsonFields(new Map(Object.entries(value)), owner, fail);
    throw fail(`${owner} is not an object`, { owner, wanted: 'an object' });
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  /** The names, in the order of the document. */
  names(): readonly string[] {
    return [...this.#members.keys()];
  }

  get(name: string): unknown {
    this.#unread.delete(name);
    return this.#members.get(name);
  }

  string(name: string): string {
    const value = this.get(name);
    if (typeof value !== 'string') throw this.wrong(name, 'a string');
    return value;
  }

  /** Go writes an absent string as null or leaves it out. */
  optionalString(name: string): string | undefined {
    return this.#present(name) ? this.string(name) : undefined;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const text = this.string(name);
    const found = values.find((value) => value === text);
    if (found === undefined) throw this.wrong(name, `one of ${values.join(', ')}`);
    return found;
  }

  /** A number of bytes, or a version. */
  size(name: string): number {
    const value = this.get(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw this.wrong(name, 'an integer from 0 to 2^53 - 1');
    return value;
  }

  integer(name: string, min: number, max: number): number {
    const value = this.get(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
      throw this.wrong(name, `an integer from ${min} to ${max}`);
    return value;
  }

  flag(name: string): boolean {
    const value = this.get(name);
    if (typeof value !== 'boolean') throw this.wrong(name, 'true or false');
    return value;
  }

  object(name: string): JsonFields {
    return JsonFields.of(this.get(name), this.#at(name), this.#fail);
  }

  optionalObject(name: string): JsonFields | undefined {
    return this.#present(name) ? this.object(name) : undefined;
  }

  array(name: string, maxItems: number = Number.POSITIVE_INFINITY): readonly unknown[] {
    const value = this.get(name);
    if (!Array.isArray(value)) throw this.wrong(name, 'an array');
    if (value.length > maxItems) throw this.error(name, `has more than ${maxItems} items`);
    return value;
  }

  objects(name: string, maxItems: number): readonly JsonFields[] {
    return this.array(name, maxItems).map((value, index) =>
      JsonFields.of(value, `${this.#at(name)}[${index}]`, this.#fail),
    );
  }

  strings(name: string, maxItems: number): readonly string[] {
    return this.array(name, maxItems).map((value, index) => {
      if (typeof value !== 'string') throw this.wrong(`${name}[${index}]`, 'a string');
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

  /** An object with any members, by name. */
  entries(name: string): readonly (readonly [string, unknown])[] {
    const value = this.get(name);
    if (!(value instanceof Map) && !isRecord(value)) throw this.wrong(name, 'an object');
    return [...(value instanceof Map ? (value as ReadonlyMap<string, unknown>) : Object.entries(value))];
  }

  /** Bytes in standard base64 with padding. */
  base64(name: string): Uint8Array {
    const bytes = bytesOf(this.string(name));
    if (bytes === undefined) throw this.wrong(name, 'base64');
    return bytes;
  }

  listOfBase64(name: string): readonly Uint8Array[] {
    return this.array(name).map((value) => {
      const bytes = typeof value === 'string' ? bytesOf(value) : undefined;
      if (bytes === undefined) throw this.wrong(name, 'a list of base64');
      return bytes;
    });
  }

  hex(name: string, bytes?: number): string {
    const text = this.string(name);
    if (!/^(?:[0-9a-f]{2})*$/.test(text) || (bytes !== undefined && text.length !== bytes * 2))
      throw this.wrong(name, bytes === undefined ? 'hex in lower case' : `${bytes} bytes in hex, lower case`);
    return text;
  }

  /** Throws if there are members that nothing has read: they could mean something that is not checked. */
  end(): void {
    const [unknown] = this.#unread;
    if (unknown === undefined) return;
    throw this.#fail(`${this.#owner} has the unknown member ${JSON.stringify(unknown)}`, {
      owner: this.#owner,
      member: unknown,
    });
  }

  /** The error of a member that is not what is wanted. */
  wrong(name: string, wanted: string): Error {
    return this.#fail(`${this.#at(name)} is not ${wanted}`, { owner: this.#owner, member: name, wanted });
  }

  /** The error of another fault of a member. */
  error(name: string, text: string): Error {
    return this.#fail(`${this.#at(name)} ${text}`, { owner: this.#owner, member: name });
  }

  #at(name: string): string {
    // Names are ours, but for the keys of a string map.
    return /^[\w.[\]-]{1,100}$/.test(name) ? `${this.#owner}.${name}` : `a member of ${this.#owner}`;
  }

  #present(name: string): boolean {
    const value = this.get(name);
    return value !== undefined && value !== null;
  }
}

function bytesOf(base64: string): Uint8Array | undefined {
  const bytes = Buffer.from(base64, 'base64');
  return bytes.toString('base64') === base64 ? new Uint8Array(bytes) : undefined;
}
