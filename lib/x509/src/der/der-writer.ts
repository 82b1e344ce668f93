import { encodeObjectIdentifier, Tag } from './tag.js';

/** Returns a DER value. */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([Uint8Array.from([tag, ...lengthOctets(length)]), ...content]);
}

export function sequence(...content: readonly Uint8Array[]): Uint8Array {
  return der(Tag.Sequence, ...content);
}

/** A SET OF, in the order that DER demands. */
export function setOf(...content: readonly Uint8Array[]): Uint8Array {
  return der(Tag.Set, ...[...content].sort((a, b) => Buffer.compare(a, b)));
}

export function objectIdentifier(text: string): Uint8Array {
  return der(Tag.ObjectIdentifier, encodeObjectIdentifier(text));
}

/** A non-negative integer from its octets, in the shortest form. */
export function integer(octets: Uint8Array): Uint8Array {
  const start = octets.findIndex((octet) => octet !== 0);
  const short = start < 0 ? Uint8Array.of(0) : octets.subarray(start);
  return der(Tag.Integer, ...((short[0] ?? 0) >= 0x80 ? [Uint8Array.of(0)] : []), short);
}

/** A bit string; `unused` is the number of bits of the last octet that do not count. */
export function bitString(octets: Uint8Array, unused = 0): Uint8Array {
  return der(Tag.BitString, Uint8Array.of(unused), octets);
}

export function octetString(octets: Uint8Array): Uint8Array {
  return der(Tag.OctetString, octets);
}

export function utf8String(text: string): Uint8Array {
  return der(Tag.Utf8String, Buffer.from(text, 'utf8'));
}

/** UTCTime until 2049 and GeneralizedTime after, as RFC 5280 demands. Milliseconds of the epoch, whole seconds. */
export function time(milliseconds: number): Uint8Array {
  const digits = new Date(milliseconds)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  const year = Number(digits.slice(0, 4));
  if (year >= 1950 && year < 2050) return der(Tag.UtcTime, Buffer.from(digits.slice(2), 'latin1'));
  return der(Tag.GeneralizedTime, Buffer.from(digits, 'latin1'));
}

function lengthOctets(length: number): readonly number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256);
  return [0x80 | octets.length, ...octets];
}
