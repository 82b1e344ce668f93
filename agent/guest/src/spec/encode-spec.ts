import { GuestError } from '../guest-error.js';

/**
 * Encodes JSON with 64-bit integers: as JSON.stringify, with a bigint as a number. JSON.stringify does not support
 * bigint, and a JavaScript number turns 18446744073709551615 into 18446744073709552000, which Go refuses.
 *
 * Throws `invalid` for a string with a NUL: a runtime in C would truncate it there, and run something else than a rule
 * has seen.
 */
export function encodeSpec(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return encodeText(value);
  if (Array.isArray(value)) return `[${value.map((item) => encodeSpec(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => `${encodeText(name)}:${encodeSpec(member)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

function encodeText(text: string): string {
  if (text.includes('\0'))
    throw new GuestError('invalid', 'a string of the request contains a NUL character');
  return JSON.stringify(text);
}
