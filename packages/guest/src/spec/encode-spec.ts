import { GuestError } from '../guest-error.js';

/**
 * JSON with 64-bit integers: as JSON.stringify, but a bigint is written as the number that it is. JSON.stringify knows
 * no bigint, and a JavaScript number turns 18446744073709551615 into 18446744073709552000, which Go refuses.
 *
 * Throws `invalid` for a text with a NUL: a runtime in C would end it there, and run something else than a rule has seen.
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
  if (text.includes('\0')) throw new GuestError('invalid', 'a text of the request holds a NUL character');
  return JSON.stringify(text);
}
