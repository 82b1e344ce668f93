import { CertificateError } from '../certificate-error.js';

/** Longer ones do not occur, and each arc must be a safe integer. */
const maxOctets = 64;

const maxArcOctets = 7;

/** Identifier octets of DER (X.690, 8.1.2), with the constructed bit where DER demands it. */
export const Tag = {
  Boolean: 0x01,
  Integer: 0x02,
  BitString: 0x03,
  OctetString: 0x04,
  ObjectIdentifier: 0x06,
  Utf8String: 0x0c,
  NumericString: 0x12,
  PrintableString: 0x13,
  TeletexString: 0x14,
  Ia5String: 0x16,
  UtcTime: 0x17,
  GeneralizedTime: 0x18,
  VisibleString: 0x1a,
  UniversalString: 0x1c,
  BmpString: 0x1e,
  Sequence: 0x30,
  Set: 0x31,
} as const;

/** Returns the identifier octet of a context-specific tag. */
export function contextTag(number: number, form: 'primitive' | 'constructed'): number {
  return (form === 'constructed' ? 0xa0 : 0x80) | number;
}

/** Returns an object identifier as numbers with dots. Throws a CertificateError. */
export function decodeObjectIdentifier(content: Uint8Array, what: string): string {
  const wrong = (why: string): CertificateError =>
    new CertificateError('encoding', `${what} has an object identifier that is not valid: ${why}`);
  if (content.length === 0 || content.length > maxOctets) throw wrong(`${content.length} octets`);
  const arcs: number[] = [];
  let arc = 0;
  let octets = 0;
  for (const octet of content) {
    if (octets === 0 && octet === 0x80) throw wrong('an arc that begins with zero');
    octets += 1;
    if (octets > maxArcOctets) throw wrong('an arc that is too large');
    arc = arc * 128 + (octet & 0x7f);
    if ((octet & 0x80) !== 0) continue;
    arcs.push(arc);
    arc = 0;
    octets = 0;
  }
  if (octets !== 0) throw wrong('it is cut off');
  const [combined = 0, ...rest] = arcs;
  const first = Math.min(2, Math.floor(combined / 40));
  return [first, combined - first * 40, ...rest].join('.');
}

/** Returns the content octets of an object identifier such as `2.5.4.3`. */
export function encodeObjectIdentifier(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return Uint8Array.from([first * 40 + second, ...rest].flatMap(base128));
}

function base128(arc: number): readonly number[] {
  const octets = [arc % 128];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
    octets.unshift((left % 128) | 0x80);
  return octets;
}
