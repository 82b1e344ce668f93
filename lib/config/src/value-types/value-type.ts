import type { TomlValue } from '../toml/toml-value.js';

/**
 * A parsed value, or a description of the expected one; `found` describes the given one where its kind does not, and
 * `help` is the nearest valid text.
 */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly expected: string; readonly found?: string; readonly help?: string };

/** Parses and formats the values of a setting. */
export interface ValueType<T> {
  /** For the reference page: `boolean`, `seconds`, `"refuse" or "allow"`. */
  readonly name: string;
  /** For editors: accepts every valid value, and rejects most others. */
  readonly schema: ValueSchema;
  /** The value of a kernel command line word without `=`. */
  readonly bare?: T;
  /** Parses a value of a document. */
  fromToml(value: TomlValue): Reading<T>;
  /** Parses the text of an override. */
  fromText(text: string): Reading<T>;
  /** Formats a value as in a document; `undefined` has no such form. */
  write(value: T): string;
}

export function read<T>(value: T): Reading<T> {
  return { ok: true, value };
}

export function expected<T>(what: string, help?: string): Reading<T> {
  return { ok: false, expected: what, ...(help === undefined ? {} : { help }) };
}

/** The schema of a value: the subset of JSON Schema (draft 7) that settings need. */
export type ValueSchema =
  | { readonly type: 'boolean' }
  | { readonly type: 'integer'; readonly minimum: number; readonly maximum?: number }
  | { readonly type: 'string'; readonly pattern?: string; readonly minLength?: number }
  | { readonly enum: readonly string[] }
  | { readonly type: 'array'; readonly items: ValueSchema; readonly uniqueItems?: true }
  | { readonly anyOf: readonly ValueSchema[] }
  | { readonly type: 'object'; readonly additionalProperties: ValueSchema }
  | {
      readonly type: 'object';
      readonly additionalProperties: false;
      readonly minProperties: number;
      readonly properties: Readonly<Record<string, ValueSchema>>;
    };

/** Returns a pattern for one character that is neither a control character nor in `but`. */
export function printable(but = ''): string {
  return `[^${but}\\u0000-\\u001f\\u007f-\\u009f]`;
}
