import { EvidenceFormError } from './evidence-error.js';

/**
 * Reads the members of a JSON object of a values file. An unknown member is an error: a misspelt one must not be a value
 * that is not compared.
 */
export class ObjectFields {
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /** `path` names the object in errors, such as `snp[0]`. */
  constructor(json: unknown, path: string, known: readonly string[]) {
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new EvidenceFormError(`${path} is not an object`);
    this.#members = json as Record<string, unknown>;
    this.#path = path;
    for (const name of Object.keys(json))
      if (!known.includes(name))
        throw new EvidenceFormError(`${path}.${name} is unknown; help: use ${known.join(', ')}`);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#members, name);
  }

  /** Returns a member that must be there. */
  member(name: string): unknown {
    if (!this.has(name)) throw this.error(name, 'is missing');
    return this.#members[name];
  }

  /** Returns bytes that are written in hex. */
  bytes(name: string, length: number): Uint8Array {
    const value = this.member(name);
    if (typeof value !== 'string' || !/^[0-9a-fA-F]*$/.test(value) || value.length !== 2 * length)
      throw this.error(name, `is not ${length} bytes in hex`);
    return Buffer.from(value, 'hex');
  }

  /** Returns bytes, or `any` if the file says that these bytes are not compared. */
  bytesOrAny(name: string, length: number): Uint8Array | 'any' {
    const value = this.member(name);
    if (value === 'any') return value;
    if (typeof value !== 'string' || value.length !== 2 * length)
      throw this.error(name, `is neither ${length} bytes in hex nor "any"`);
    return this.bytes(name, length);
  }

  integer(name: string, maximum: number): number {
    const value = this.member(name);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > maximum)
      throw this.error(name, `is not an integer from 0 to ${maximum}`);
    return value;
  }

  oneOf<Value extends string>(name: string, values: readonly Value[]): Value {
    const value = this.member(name);
    const found = values.find((each) => each === value);
    if (found === undefined) throw this.error(name, `is not one of ${values.join(', ')}`);
    return found;
  }

  /** Returns the items of a list without repetition; it must have at least one. */
  listOf<Value extends string>(name: string, values: readonly Value[]): readonly Value[] {
    const list = this.member(name);
    if (!Array.isArray(list) || list.length === 0) throw this.error(name, 'is not a list with items');
    const items = list.map((each: unknown) => values.find((value) => value === each));
    if (new Set(items).size !== items.length || items.includes(undefined))
      throw this.error(name, `is not a list of ${values.join(', ')}, each at most once`);
    return items.filter((item) => item !== undefined);
  }

  error(name: string, fault: string): EvidenceFormError {
    return new EvidenceFormError(`${this.#path}.${name} ${fault}`);
  }
}

/** Returns the items of a list of accepted tuples; it must have at least one. */
export function parseTuples<Tuple>(
  json: unknown,
  kind: string,
  parse: (item: unknown, path: string) => Tuple,
): readonly Tuple[] {
  if (!Array.isArray(json) || json.length === 0)
    throw new EvidenceFormError(`${kind} is not a list with at least one accepted tuple`);
  return json.map((item: unknown, index) => parse(item, `${kind}[${index}]`));
}
