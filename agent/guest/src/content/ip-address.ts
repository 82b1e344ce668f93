import { isIP } from 'node:net';

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
