import { EvidenceFormError } from './evidence-error.js';

/** Reads members of a JSON object, each once, and reports those that nothing has read. All errors are EvidenceFormErrors. */
export class Form {
  readonly #name: string;
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #left: Set<string>;

  constructor(value: unknown, name: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new EvidenceFormError(`${name}: must be an object`);
    this.#name = name;
    this.#value = value as Readonly<Record<string, unknown>>;
    this.#left = new Set(Object.keys(value));
  }

  /** Throws if there are members that were not read: they could mean something that is not checked. */
  end(): void {
    const [unknown] = this.#left;
    if (unknown !== undefined)
      throw new EvidenceFormError(`${this.#name}: unknown member ${JSON.stringify(unknown)}`);
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#value, key);
  }

  value(key: string): unknown {
    this.#left.delete(key);
    return this.has(key) ? this.#value[key] : undefined;
  }

  text(key: string): string {
    const value = this.value(key);
    if (typeof value !== 'string') throw this.fault(key, 'text');
    return value;
  }

  oneOf<T extends string>(key: string, values: readonly T[]): T {
    const text = this.text(key);
    const found = values.find((value) => value === text);
    if (found === undefined) throw this.fault(key, `one of ${values.join(', ')}`);
    return found;
  }

  /** Reads bytes in base64, with padding and nothing else. */
  bytes(key: string): Uint8Array {
    const bytes = bytesOf(this.text(key));
    if (bytes === undefined) throw this.fault(key, 'base64');
    return bytes;
  }

  listOfBytes(key: string): readonly Uint8Array[] {
    return this.list(key).map((one) => {
      const bytes = typeof one === 'string' ? bytesOf(one) : undefined;
      if (bytes === undefined) throw this.fault(key, 'a list of base64');
      return bytes;
    });
  }

  hex(key: string, bytes?: number): string {
    const text = this.text(key);
    if (!/^(?:[0-9a-f]{2})*$/.test(text) || (bytes !== undefined && text.length !== bytes * 2))
      throw this.fault(key, bytes === undefined ? 'hex in lower case' : `${bytes} bytes in hex, lower case`);
    return text;
  }

  integer(key: string, min: number, max: number): number {
    const value = this.value(key);
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
      throw this.fault(key, `an integer from ${min} to ${max}`);
    return value as number;
  }

  flag(key: string): boolean {
    const value = this.value(key);
    if (typeof value !== 'boolean') throw this.fault(key, 'true or false');
    return value;
  }

  list(key: string): readonly unknown[] {
    const value = this.value(key);
    if (!Array.isArray(value)) throw this.fault(key, 'a list');
    return value as readonly unknown[];
  }

  /** Reads an object with any members, by name. */
  entries(key: string): readonly (readonly [string, unknown])[] {
    const value = this.value(key);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.fault(key, 'an object');
    return Object.entries(value);
  }

  fault(key: string, what: string): EvidenceFormError {
    return new EvidenceFormError(`${this.#name}, ${key}: must be ${what}`);
  }
}

function bytesOf(base64: string): Uint8Array | undefined {
  const bytes = Buffer.from(base64, 'base64');
  return bytes.toString('base64') === base64 ? new Uint8Array(bytes) : undefined;
}

/** Parses JSON of a file or a message. A duplicate key is not detected: the last one counts, for every reader of it. */
export function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new EvidenceFormError(`${name}: not JSON in UTF-8`, { cause: error });
  }
}
