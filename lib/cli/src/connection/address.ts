import { isIPv6 } from 'node:net';
import { CommandError, ExitCode } from '../command/command-error.js';

/**
 * The address of an agent's listener.
 * - `path`: a unix socket in the file system.
 * - `abstract`: an abstract unix socket; the name is bound and dialled with its exact length.
 * - `vsock`: a port of another machine, by its context id; from a guest, 2 is the host and 1 is itself.
 * - `tls`: a TCP port with TLS, by host name or IP address.
 * - `hvsock`: the unix socket of a VMM (Firecracker, Cloud Hypervisor) that forwards to a vsock port of its guest.
 * - `realm`: a realm, or a guest that has dialled it.
 */
export type Address =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'abstract'; readonly name: string }
  | { readonly kind: 'vsock'; readonly cid: number; readonly port: number }
  | { readonly kind: 'hvsock'; readonly path: string; readonly port: number }
  | TlsAddress
  | RealmAddress;

interface TlsAddress {
  readonly kind: 'tls';
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
}

export interface RealmAddress {
  readonly kind: 'realm';
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** A name, or an ID or its first 12 or more digits; undefined: the realm itself. */
  readonly guest: string | undefined;
}

/** The port of a realm for operators. */
const realmPort = 8444;

/** `sun_path` of a unix address has 108 bytes; a path needs a trailing zero byte, an abstract name a leading one. */
const maxPathBytes = 107;
const maxPort = 0xffff_ffff;
const maxTcpPort = 0xffff;
const anyNumber = 0xffff_ffff;

export const addressForms: string =
  'unix:///run/agent.sock, unix://@name (abstract), vsock://3:1024 (a guest by its CID), hvsock:///run/vm.sock:1024, tls://10.0.0.7:8443 or realm://realm.example/GUEST (a guest that dialled out)';

/** Parses an address. Throws a CommandError (wrong use) that names the value and the valid forms. */
export function parseAddress(text: string): Address {
  const match = /^([a-z]+):\/\/(.*)$/s.exec(text);
  if (match === null)
    throw wrong(text, 'an address must start with unix://, vsock://, hvsock://, tls:// or realm://');
  const [, scheme = '', rest = ''] = match;
  switch (scheme) {
    case 'unix':
      return rest.startsWith('@') ? abstractAddress(text, rest.slice(1)) : pathAddress(text, rest);
    case 'hvsock':
      return hvsockAddress(text, rest);
    case 'vsock':
      return vsockAddress(text, rest);
    case 'tls':
      return tlsAddress(text, rest);
    case 'realm':
      return realmAddress(text, rest);
    default:
      throw wrong(text, `unknown address scheme ${scheme}://`);
  }
}

export function formatAddress(address: Address): string {
  switch (address.kind) {
    case 'path':
      return `unix://${address.path}`;
    case 'abstract':
      return `unix://@${address.name}`;
    case 'vsock':
      return `vsock://${address.cid}:${address.port}`;
    case 'hvsock':
      return `hvsock://${address.path}:${address.port}`;
    case 'tls':
      return `tls://${hostAndPort(address)}`;
    case 'realm':
      return `realm://${hostAndPort(address)}${address.guest === undefined ? '' : `/${address.guest}`}`;
  }
}

/** Writes host and port as in a URL. */
export function hostAndPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function pathAddress(text: string, path: string): Address {
  checkPath(text, path);
  return { kind: 'path', path };
}

function abstractAddress(text: string, name: string): Address {
  if (name === '') throw wrong(text, 'the abstract name after @ is empty');
  checkPath(text, name);
  return { kind: 'abstract', name };
}

function vsockAddress(text: string, rest: string): Address {
  const [, cid = '', port = ''] = /^([0-9]{1,10}):([0-9]{1,10})$/.exec(rest) ?? [];
  if (port === '') throw wrong(text, 'expected two numbers, context id and port, separated by a colon');
  // The largest number of each is the wildcard (VMADDR_CID_ANY, VMADDR_PORT_ANY).
  for (const [what, digits] of [
    ['context id', cid],
    ['port', port],
  ] as const) {
    if (Number(digits) >= anyNumber) throw wrong(text, `the ${what} '${digits}' must be below ${anyNumber}`);
  }
  return { kind: 'vsock', cid: Number(cid), port: Number(port) };
}

function hvsockAddress(text: string, rest: string): Address {
  const colon = rest.lastIndexOf(':');
  if (colon < 0) throw wrong(text, 'the port is missing (the agent listens on 1024)');
  const path = rest.slice(0, colon);
  const digits = rest.slice(colon + 1);
  const port = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(port <= maxPort)) throw wrong(text, `the port '${digits}' must be a number up to ${maxPort}`);
  checkPath(text, path);
  return { kind: 'hvsock', path, port };
}

function tlsAddress(text: string, rest: string): Address {
  return { kind: 'tls', ...parseHostAndPort(text, rest) };
}

function realmAddress(text: string, rest: string): Address {
  const slash = rest.indexOf('/');
  const server = slash < 0 ? rest : rest.slice(0, slash);
  const guest = slash < 0 ? undefined : rest.slice(slash + 1);
  if (guest !== undefined && !isGuestName(guest))
    throw wrong(
      text,
      `'${guest}' is not the name of a guest: letters, digits, dots, dashes and underscores, or a guest's ID`,
    );
  const withPort = /(?:^|\])[^:\]]*$/.test(server) ? `${server}:${realmPort}` : server;
  return { kind: 'realm', ...parseHostAndPort(text, withPort), guest };
}

function parseHostAndPort(text: string, rest: string): { readonly host: string; readonly port: number } {
  const [, address, name, digits = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(.*)$/s.exec(rest) ?? [];
  const host = address ?? name;
  if (host === undefined || digits.includes(':'))
    throw wrong(text, 'expected HOST:PORT; an IPv6 address is in brackets: [::1]:8443');
  const valid = address === undefined ? /^[A-Za-z0-9.-]+$/.test(host) : isIPv6(host);
  if (!valid) throw wrong(text, `'${host}' is neither a host name nor an IP address`);
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : 0;
  if (port < 1 || port > maxTcpPort)
    throw wrong(text, `the port '${digits}' must be a number from 1 to ${maxTcpPort}`);
  return { host, port };
}

/** As in the realm. Not imported from there: other addresses do not need to load it. */
function isGuestName(text: string): boolean {
  return /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/.test(text);
}

function checkPath(text: string, path: string): void {
  if (path === '') throw wrong(text, 'the path is empty');
  if (path.includes('\0')) throw wrong(text, 'the path contains a zero byte');
  const bytes = Buffer.byteLength(path);
  if (bytes > maxPathBytes) {
    throw wrong(text, `the path has ${bytes} bytes, the maximum for a unix socket is ${maxPathBytes}`);
  }
}

function wrong(text: string, why: string, more: readonly string[] = []): CommandError {
  return new CommandError(ExitCode.Usage, `address '${text}': ${why}`, {
    help: [`valid addresses: ${addressForms}`, ...more],
  });
}
