const maxDepth = 32;

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

/** A JSON value. Objects are maps: a name such as `__proto__` is a name like any other. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

export type JsonObject = ReadonlyMap<string, Json>;

/** A text that is not JSON, or that two readers can understand differently. */
export class JsonSyntaxError extends Error {}

/**
 * Parses JSON (RFC 8259) in UTF-8. Unlike JSON.parse it refuses a name that occurs twice in an object: readers differ in which
 * value they take, so what one tool signs could be another thing for us. Bounds the depth.
 */
export function parseJson(bytes: Uint8Array): Json {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new JsonSyntaxError('not UTF-8');
  }
  // Validates tokens, numbers and escapes; the reader below relies on it.
  try {
    JSON.parse(text);
  } catch {
    throw new JsonSyntaxError('not JSON');
  }
  return new Reader(text).document();
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return value instanceof Map;
}

function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** Reads a text that JSON.parse accepts. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    return this.#value(0);
  }

  #value(depth: number): Json {
    if (depth > maxDepth) throw new JsonSyntaxError(`more than ${maxDepth} levels`);
    switch (this.#peek()) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      default:
        return this.#scalar();
    }
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, Json>();
    this.#at += 1;
    while (this.#peek() !== '}') {
      if (this.#peek() === ',') this.#at += 1;
      const name = this.#scalar() as string;
      if (members.has(name)) throw new JsonSyntaxError('a name occurs twice in an object');
      // The colon.
      this.#peek();
      this.#at += 1;
      members.set(name, this.#value(depth + 1));
    }
    this.#at += 1;
    return members;
  }

  #array(depth: number): readonly Json[] {
    const items: Json[] = [];
    this.#at += 1;
    while (this.#peek() !== ']') {
      if (this.#peek() === ',') this.#at += 1;
      items.push(this.#value(depth + 1));
    }
    this.#at += 1;
    return items;
  }

  #scalar(): null | boolean | number | string {
    const isString = this.#peek() === '"';
    const from = this.#at;
    if (isString) this.#at = this.#endOfString(from);
    else while (!/[\s,\]}:]/.test(this.#text[this.#at] ?? ' ')) this.#at += 1;
    const found = this.#text.slice(from, this.#at);
    return JSON.parse(found) as null | boolean | number | string;
  }

  #endOfString(start: number): number {
    let at = start + 1;
    while (this.#text[at] !== '"') at += this.#text[at] === '\\' ? 2 : 1;
    return at + 1;
  }

  /** Skips white space and returns the next character. */
  #peek(): string {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? 'x')) this.#at += 1;
    return this.#text[this.#at] ?? '';
  }
}
