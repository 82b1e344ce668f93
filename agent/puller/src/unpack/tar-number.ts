import { LayerError } from './layer-error.js';

/**
 * Parses a numeric field of a header: octal digits, padded with spaces and NULs, or GNU's big-endian base 256 if the
 * first bit is set. An empty field is 0. Throws a LayerError for anything else, and for a value that is not a safe
 * integer.
 */
export function tarNumber(field: Uint8Array, what: string): number {
  const first = field[0] ?? 0;
  const value = (first & 0x80) === 0 ? octal(field) : base256(field);
  if (value === undefined || !Number.isSafeInteger(value))
    throw new LayerError('header', `an entry's ${what} is not a number\nhelp: build the image again`);
  return value;
}

function octal(field: Uint8Array): number | undefined {
  const text = Buffer.from(field).toString('latin1');
  const digits = /^ *([0-7]*)[ \0]*$/.exec(text)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits === '' ? '0' : digits, 8);
}

/** Two's complement: the first bit marks the format, the second is the sign. */
function base256(field: Uint8Array): number {
  const negative = ((field[0] ?? 0) & 0x40) !== 0;
  let value = 0n;
  for (const [at, byte] of field.entries()) {
    value = value * 256n + BigInt(at === 0 ? byte & (negative ? 0xff : 0x7f) : byte);
  }
  if (negative) value -= 1n << BigInt(field.length * 8);
  return Number(value);
}
