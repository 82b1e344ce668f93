import type { TomlValue } from '../toml/toml-value.js';
import type { ValueSchema } from './value-schema.js';

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
