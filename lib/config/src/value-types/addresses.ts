import { isIP, isIPv4, isIPv6 } from 'node:net';
import { isLocalhostName } from '@kata-agent/catalogue/localhost-names';
import { entryName, path, text } from './text.js';
import { printable, type ValueType } from './value-type.js';

/** The IP address and port of a `tls://` address; undefined for any other text. */
export function tlsAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, plain, digits] =
    /^tls:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([1-9]\d{0,4})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  const valid = bracketed === undefined ? isIPv4(host) : isIPv6(host);
  return valid && port <= 65_535 ? { host, port } : undefined;
}

/**
 * Where a listener listens: as `server_addr`, or `tls://ADDRESS:PORT` with the IP address to bind. Or the server that it dials:
 * `https://HOST[:PORT]/PATH`.
 */
export const listenerAddress: ValueType<string> = text({
  name: 'address',
  pattern: `^(vsock://(-1|\\d{1,10}):[1-9]\\d{0,9}|unix://[/@]${printable()}+|tls://[0-9A-Fa-f.:\\[\\]]+:[1-9]\\d{0,4}|https://[a-z0-9.:\\[\\]-]+(/[A-Za-z0-9._~/-]*)?)$`,
  what: 'an address: "vsock://-1:1024", "unix:///run/kata-agent/agent.sock", "tls://0.0.0.0:8443", "tls://[::]:8443" or "https://realm.example:8443/guests"',
  accept: (text) =>
    serverAddress.fromText(text).ok || tlsAddress(text) !== undefined || dialAddress(text) !== undefined,
});

/** The parts of an `https://` address. */
export interface DialAddress {
  /** A DNS name in lower case, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';

const dnsName = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`);

const dialForm = /^https:\/\/(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::([1-9]\d{0,4}))?(\/[A-Za-z0-9._~/-]*)?$/;

/**
 * Returns the parts of an `https://` address; undefined for any other text. Names are in lower case, and there are no user,
 * query, fragment or percent signs: equal addresses have equal parts.
 */
export function dialAddress(text: string): DialAddress | undefined {
  const [whole, bracketed, plain = '', digits = '443', path = '/'] = dialForm.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const port = Number(digits);
  const host = bracketed ?? plain;
  // A name whose last label is a number would be an IPv4 address to some resolvers.
  const valid =
    bracketed === undefined ? isIPv4(host) || (dnsName.test(host) && !/(^|\.)\d+$/.test(host)) : isIPv6(host);
  return valid && port <= 65_535 ? { host, port, path } : undefined;
}

// sun_path has 108 bytes: a path with its terminating NUL, or a leading NUL and an abstract name.
const longestUnixName = 107;

/**
 * Where the API is served: `vsock://CID:PORT` (-1: any local CID), `unix:///path`, or `unix://@name` for an abstract
 * name.
 */
export const serverAddress: ValueType<string> = text({
  name: 'address',
  pattern: `^(vsock://(-1|\\d{1,10}):[1-9]\\d{0,9}|unix://[/@]${printable()}+)$`,
  what: 'an address: "vsock://-1:1024", "unix:///run/kata-agent/agent.sock" or "unix://@name"',
  accept(text) {
    const vsock = /^vsock:\/\/(-1|\d{1,10}):(\d{1,10})$/.exec(text);
    if (vsock !== null)
      return fitsU32(vsock[1] === '-1' ? '0' : vsock[1]) && fitsU32(vsock[2]) && vsock[2] !== '0';
    const unix = /^unix:\/\/([/@][^\p{Cc}]+)$/u.exec(text);
    return unix?.[1] !== undefined && Buffer.byteLength(unix[1].replace(/^@/, '')) <= longestUnixName;
  },
});

function fitsU32(digits: string | undefined): boolean {
  return Number(digits) < 0xffff_ffff;
}

const unixScheme = 'unix://';

/**
 * The socket of the inner agent: `unix://` and an absolute path. Not an abstract name: such a socket has neither owner nor
 * mode, so every process of the network namespace can connect to it.
 */
export const forwardAddress: ValueType<string> = text({
  name: 'address of a unix socket',
  pattern: `^unix://(/(?!\\.{1,2}(/|$))${printable('/')}+)+$`,
  what: 'the address of a unix socket with a path, such as "unix:///run/kata-agent-inner/agent.sock": an abstract socket has no owner and no mode',
  accept: (text) =>
    text.startsWith(unixScheme) &&
    path.fromText(text.slice(unixScheme.length)).ok &&
    serverAddress.fromText(text).ok,
});

/** Where a proxy listens. */
export type ProxyAddress = Pick<DialAddress, 'host' | 'port'>;

/** Returns the parts of a proxy's address; undefined for any other text. It has a port, and neither a user nor a path. */
export function proxyAddress(text: string): ProxyAddress | undefined {
  const place = /^http:\/\/([^/]+:\d+)$/.exec(text)?.[1];
  const address = place === undefined ? undefined : dialAddress(`https://${place}`);
  return address === undefined ? undefined : { host: address.host, port: address.port };
}

/** An HTTP proxy that takes CONNECT, without credentials. */
export const proxy: ValueType<string> = text({
  name: 'proxy',
  pattern: '^http://[a-z0-9.:\\[\\]-]+:[1-9]\\d{0,4}$',
  what: 'the address of an HTTP proxy, with a port and without user, password and path: "http://proxy.example:3128"',
  accept: (text) => proxyAddress(text) !== undefined,
});

const hostNamePattern = '^(\\*|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?)$';

/** A name of a hosts file. Those of localhost have loopback's addresses, whatever a configuration says. */
export const hostAliasName: ValueType<string> = text({
  name: 'host name',
  pattern: hostNamePattern,
  what: 'a table of host names, such as "db.example", or "*"; not a name of localhost',
  accept: (value) => new RegExp(hostNamePattern).test(value) && !isLocalhostName(value),
});

export const hostAliasAddress: ValueType<string> = text({
  name: 'IP address, or "*"',
  pattern: '^(\\*|[0-9A-Fa-f.:]+)$',
  what: 'an IP address, or "*"',
  accept: (value) => value === '*' || isIP(value) !== 0,
});

/** Reports whether `via` of a witness is an address, and not the name of a listener. */
export function isWitnessAddress(via: string): boolean {
  return via.includes(':');
}

/** How a witness is reached. */
export const witnessVia: ValueType<string> = text({
  name: 'name of a listener, or https:// address',
  pattern: '^(https://.+|[A-Za-z0-9][A-Za-z0-9_.-]*)$',
  what: 'the name of a listener that dials, or an address such as "https://witness.example/prefix", in lower case and without user, query, fragment and percent signs',
  accept: (via) => (isWitnessAddress(via) ? dialAddress(via) !== undefined : entryName.fromText(via).ok),
});
