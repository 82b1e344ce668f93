import { CertificateError } from '../certificate-error.js';

/** Longer ones do not occur, and each arc must be a safe integer. */
const maxOctets = 64;
const maxArcOctets = 7;

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
