import { Buffer } from 'node:buffer';
import { isIP, SocketAddress } from 'node:net';

/** AF_. */
export const AddressFamily = { Inet: 2, Inet6: 10 } as const;

/** Returns the bytes of an IP address, 4 or 16, in network order. Throws a TypeError for other texts. */
export function encodeIpAddress(text: string): Buffer {
  if (text.includes('%') || isIP(text) === 0)
    throw new TypeError(`${JSON.stringify(text)} is not an IP address`);
  return isIP(text) === 4 ? encodeV4(text) : encodeV6(text);
}

function encodeV4(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

function encodeV6(text: string): Buffer {
  // The last four bytes may be written as an IPv4 address.
  const tail = text.slice(text.lastIndexOf(':') + 1);
  const groups = tail.includes('.')
    ? text.slice(0, -tail.length) + encodeV4(tail).toString('hex').replace(/^.{4}/, '$&:')
    : text;
  const [before = [], after = []] = groups
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const missing = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const hex = [...before, ...missing, ...after].map((group) => group.padStart(4, '0')).join('');
  return Buffer.from(hex, 'hex');
}

/** Formats the 4 or 16 bytes of an IP address as inet_ntop(3) does. Throws a RangeError for other lengths. */
export function formatIpAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new RangeError(`an IP address of ${bytes.length} bytes`);
  const address = bytes.toString('hex').replace(/.{4}(?!$)/g, '$&:');
  return new SocketAddress({ address, family: 'ipv6' }).address;
}
