import { isIP } from 'node:net';
import { isLoopbackAddress } from '../network/loopback.js';

/** Returns the one form of an IP address without a zone; undefined: it is not one. IPv4 has four decimal numbers without leading zeros. */
export function canonicalAddress(text: string): string | undefined {
  if (text.includes('%')) return undefined;
  switch (isIP(text)) {
    case 4:
      return text;
    case 6:
      return new URL(`http://[${text}]/`).hostname.slice(1, -1);
    default:
      return undefined;
  }
}

/** Reports whether an address, in its one form, is the machine itself. Not so IPv4 in IPv6, which libraries take in several ways. */
export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/** The addresses of all interfaces, in their one form: a connection to one of them is one to loopback. */
const unspecified: ReadonlySet<string> = new Set(['0.0.0.0', '::', '::ffff:0:0']);

/**
 * Reports whether a connection to an address, in its one form, may reach the machine itself: loopback, also as IPv4 in IPv6, which glibc
 * returns as IPv4, or the address of all interfaces.
 */
export function isThisMachine(address: string): boolean {
  return unspecified.has(address) || isLoopbackAddress(address);
}
