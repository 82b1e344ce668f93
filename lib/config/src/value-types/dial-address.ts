import { isIPv4, isIPv6 } from 'node:net';

/** The parts of an `https://` address. */
export interface DialAddress {
  /** A DNS name in lower case, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const dnsName = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`);
const form = /^https:\/\/(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::([1-9]\d{0,4}))?(\/[A-Za-z0-9._~/-]*)?$/;

/**
 * Returns the parts of an `https://` address; undefined for any other text. Names are in lower case, and there are no user,
 * query, fragment or percent signs: equal addresses have equal parts.
 */
export function dialAddress(text: string): DialAddress | undefined {
  const [whole, bracketed, plain = '', digits = '443', path = '/'] = form.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const port = Number(digits);
  const host = bracketed ?? plain;
  // A name whose last label is a number would be an IPv4 address to some resolvers.
  const valid =
    bracketed === undefined ? isIPv4(host) || (dnsName.test(host) && !/(^|\.)\d+$/.test(host)) : isIPv6(host);
  return valid && port <= 65_535 ? { host, port, path } : undefined;
}
