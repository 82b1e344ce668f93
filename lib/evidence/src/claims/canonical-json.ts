import { EvidenceFormError } from '../evidence-error.js';

/** A value of canonical JSON as far as evidence needs it: no fractions, no booleans, no null. */
export type CanonicalValue =
  | string
  | number
  | readonly CanonicalValue[]
  | { readonly [key: string]: CanonicalValue };

/**
 * Encodes a value as canonical JSON (RFC 8785): no white space, keys sorted by UTF-16 units, text as ECMAScript writes it. Throws a
 * TypeError for a number that is not a safe integer, and for text with half a surrogate pair.
 */
export function canonicalJson(value: CanonicalValue): Uint8Array {
  return new Uint8Array(Buffer.from(textOf(value)));
}

/**
 * Parses canonical JSON, and nothing else: another order of keys, a key twice, white space, or another spelling of a number or a
 * text is refused, so a value has exactly one form. Throws an EvidenceFormError.
 */
export function parseCanonicalJson(bytes: Uint8Array, name: string): CanonicalValue {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new EvidenceFormError(`${name}: not JSON in UTF-8`, { cause: error });
  }
  if (!isCanonicalValue(value))
    throw new EvidenceFormError(`${name}: only text, integers, lists and objects are allowed`);
  if (Buffer.compare(canonicalJson(value), bytes) !== 0)
    throw new EvidenceFormError(`${name}: not in canonical form (RFC 8785)`);
  return value;
}

function textOf(value: CanonicalValue): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0))
      throw new TypeError(`${value} is not an integer of canonical JSON`);
    return String(value);
  }
  if (isList(value)) return `[${value.map(textOf).join(',')}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${quoted(key)}:${textOf(value[key] ?? '')}`).join(',')}}`;
}

function quoted(text: string): string {
  if (!isWellFormed(text)) throw new TypeError(`${JSON.stringify(text)} has half a surrogate pair`);
  return JSON.stringify(text);
}

function isCanonicalValue(value: unknown): value is CanonicalValue {
  if (typeof value === 'string') return isWellFormed(value);
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0);
  if (Array.isArray(value)) return value.every(isCanonicalValue);
  return typeof value === 'object' && value !== null && Object.values(value).every(isCanonicalValue);
}

function isList(value: CanonicalValue): value is readonly CanonicalValue[] {
  return Array.isArray(value);
}

/** Reports whether the text has no half of a surrogate pair: with the flag `u`, whole pairs are not surrogates. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
