import type { TomlValue } from '../toml-value.js';
import type { ValueSchema } from './value-schema.js';

/** A value that was read, or what is expected instead; `help` is the nearest text that would do. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly expected: string; readonly help?: string };

/** How the values of a setting are read and written. */
export interface ValueType<T> {
  /** For the reference page: `boolean`, `seconds`, `"refuse" or "allow"`. */
  readonly name: string;
  /** For editors: it accepts every value that a document may have, and most others not. */
  readonly schema: ValueSchema;
  /** A kernel-line word without `=` means this. */
  readonly bare?: T;
  /** From a document. */
  fromToml(value: TomlValue): Reading<T>;
  /** From an override, which is always text. */
  fromText(text: string): Reading<T>;
  /** As a document has it; `undefined` has no such form. */
  write(value: T): string;
}

export function read<T>(value: T): Reading<T> {
  return { ok: true, value };
}

export function expected<T>(what: string, help?: string): Reading<T> {
  return { ok: false, expected: what, ...(help === undefined ? {} : { help }) };
}
