import { type Document, isNode, LineCounter } from 'yaml';
import { isRecord } from '@kata-agent/base';

/** An error in a workload's manifest, with its position. */
export class WorkloadError extends Error {
  constructor(place: string, message: string, options?: ErrorOptions) {
    super(`${place}: ${message}`, options);
    this.name = 'WorkloadError';
  }
}

type Step = string | number;

interface Source {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
}

/** A value in a YAML document, with its position. Accessors check types, and throw an error with the position. */
export class Field {
  readonly #source: Source;
  readonly #steps: readonly Step[];
  readonly #value: unknown;

  private constructor(source: Source, steps: readonly Step[], value: unknown) {
    this.#source = source;
    this.#steps = steps;
    this.#value = value;
  }

  /** The root of a document. */
  static root(file: string, document: Document, lines: LineCounter): Field {
    return new Field({ file, document, lines }, [], valueOf(file, document));
  }

  /** `spec.containers[0].env`. */
  get path(): string {
    return pathOf(this.#steps);
  }

  /** `pod.yaml:7:3`. */
  get place(): string {
    const node = this.#source.document.getIn(this.#steps, true);
    const offset = isNode(node) ? node.range?.[0] : undefined;
    const { line, col } = this.#source.lines.linePos(offset ?? 0);
    return `${this.#source.file}:${line}:${col}`;
  }

  /** The value, with aliases and merge keys resolved. */
  get value(): unknown {
    return this.#value;
  }

  /** The file and its document, and the path of this value in it. */
  get source(): {
    readonly file: string;
    readonly document: Document;
    readonly steps: readonly (string | number)[];
  } {
    const { file, document } = this.#source;
    return { file, document, steps: this.#steps };
  }

  /** Returns undefined if the key is missing or null. */
  get(key: string): Field | undefined {
    if (!isRecord(this.#value)) throw this.wrong('a mapping');
    const value = Object.hasOwn(this.#value, key) ? this.#value[key] : undefined;
    return value === undefined || value === null
      ? undefined
      : new Field(this.#source, [...this.#steps, key], value);
  }

  /** As `get`, through nested mappings. */
  in(...keys: readonly string[]): Field | undefined {
    return keys.reduce<Field | undefined>((field, key) => field?.get(key), this);
  }

  required(key: string): Field {
    const field = this.get(key);
    if (field === undefined) throw new WorkloadError(this.place, `${key} is missing`);
    return field;
  }

  keys(): readonly string[] {
    if (!isRecord(this.#value)) throw this.wrong('a mapping');
    return Object.keys(this.#value);
  }

  /** Returns the elements of a list, empty if the key is missing. */
  list(key: string): readonly Field[] {
    const field = this.get(key);
    if (field === undefined) return [];
    const value = field.#value;
    if (!Array.isArray(value)) throw field.wrong('a list');
    return value.map((element: unknown, index) => new Field(this.#source, [...field.#steps, index], element));
  }

  /** As `get`; undefined also if this is no mapping. */
  child(key: string): Field | undefined {
    return isRecord(this.#value) ? this.get(key) : undefined;
  }

  /** Returns the values of a mapping, or the elements of a list; empty for another value. */
  children(): readonly Field[] {
    const value = this.#value;
    const steps = Array.isArray(value) ? value.keys() : Object.keys(isRecord(value) ? value : {});
    return [...steps].map(
      (step) => new Field(this.#source, [...this.#steps, step], (value as Record<Step, unknown>)[step]),
    );
  }

  text(): string {
    if (typeof this.#value !== 'string') throw this.wrong('text');
    return this.#value;
  }

  /** Returns a string. Also accepts what YAML parses as a number or boolean where Kubernetes expects a string. */
  scalar(): string {
    const value = this.#value;
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw this.wrong('a string or a number');
  }

  flag(): boolean {
    if (typeof this.#value !== 'boolean') throw this.wrong('true or false');
    return this.#value;
  }

  whole(): number {
    if (typeof this.#value !== 'number' || !Number.isSafeInteger(this.#value) || this.#value < 0) {
      throw this.wrong('a whole number');
    }
    return this.#value;
  }

  wrong(wanted: string): WorkloadError {
    return new WorkloadError(this.place, `${this.path || 'the document'} must be ${wanted}`);
  }
}

/** Aliases are the only remaining error here: unresolved, or expanding to too much. */
function valueOf(file: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new WorkloadError(file, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** `spec.containers[0].env`. */
export function pathOf(steps: readonly (string | number)[]): string {
  return steps.reduce<string>((path, step) => path + stepText(step, path === ''), '');
}

function stepText(step: Step, first: boolean): string {
  if (typeof step === 'number') return `[${step}]`;
  if (!/^[A-Za-z0-9_-]+$/.test(step)) return `[${JSON.stringify(step)}]`;
  return first ? step : `.${step}`;
}

/** Returns an object with the member, or an empty one if the value is undefined. */
export function optional<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });
}
