/** A JSON value. Objects are maps: a name such as `__proto__` is a name like any other. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = ReadonlyMap<string, Json>;

/** A text that is not JSON, or that two readers can understand differently. */
export class JsonSyntaxError extends Error {}

const maxDepth = 32;

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

export function isJsonArray(value: Json | undefined): value is readonly Json[] {
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
