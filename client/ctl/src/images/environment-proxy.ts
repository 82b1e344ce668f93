import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { CommandError, ExitCode } from '@kata-agent/cli';
import type { HttpProxy, NetworkPlace } from '@kata-agent/registry';

/** Environment variables by name. */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the choice of a proxy for servers that are reached by https, as `HTTPS_PROXY` and `NO_PROXY` say, or the same in lower case.
 * `HTTP_PROXY` is of servers without TLS, which are never asked. Throws a CommandError (2) for a variable that is not a proxy; the message
 * does not have its value, which may have a password.
 *
 * Source: golang.org/x/net/http/httpproxy, as Docker, Podman and containerd have it: this machine itself is never reached through a proxy. Two
 * things differ: a proxy that cannot be used is an error instead of none, and `localhost` is this machine in upper case too.
 */
export function environmentProxy(environment: Environment): (place: NetworkPlace) => HttpProxy | undefined {
  const url = valueOf(environment, 'HTTPS_PROXY');
  if (url === undefined) return () => undefined;
  const proxy = parseProxy(url);
  const exceptions = (valueOf(environment, 'NO_PROXY') ?? '')
    .split(',')
    .map((text) => text.trim().toLowerCase())
    .filter((text) => text !== '')
    .map(parseException);
  return ({ host, port }) => {
    const place = { host: host.toLowerCase(), port };
    return isThisMachine(place.host) || exceptions.some((covers) => covers(place)) ? undefined : proxy;
  };
}

function valueOf(environment: Environment, name: string): string | undefined {
  return [environment[name], environment[name.toLowerCase()]].find(
    (value) => value !== undefined && value !== '',
  );
}

/** Parses `[http://][USER:PASSWORD@]HOST[:PORT]`, or the same with https. */
function parseProxy(text: string): HttpProxy {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.hostname === '')
    throw new CommandError(ExitCode.Usage, 'HTTPS_PROXY is not the URL of an HTTP proxy', {
      help: ['write it as http://HOST:PORT, or leave it empty'],
    });
  const secure = url.protocol === 'https:';
  const credential = `${decoded(url.username)}:${decoded(url.password)}`;
  return {
    host: withoutBrackets(url.hostname),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    secure,
    ...(credential === ':' ? {} : { authorization: `Basic ${Buffer.from(credential).toString('base64')}` }),
  };
}

/** Text with a percent sign that encodes nothing means itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

type Exception = (place: NetworkPlace) => boolean;

/** Parses an element of `NO_PROXY`: `*`, a network, or an address or a domain with or without a port. */
function parseException(text: string): Exception {
  if (text === '*') return () => true;
  const network = parseNetwork(text);
  if (network !== undefined) return ({ host }) => network(host);
  const { name, port } = splitPort(text);
  if (name === '') return () => false;
  const covers = isIP(name) === 0 ? domain(name) : networkOf(name);
  // As texts: a port with a zero before it is never that of a server.
  return (place) => (port === '' || port === String(place.port)) && covers(place.host);
}

/**
 * Splits `NAME:PORT` or `[ADDRESS]:PORT`; any other text is a name. So an address in brackets needs a port, and a port can be empty.
 *
 * Source: `net.SplitHostPort` of Go.
 */
function splitPort(text: string): { readonly name: string; readonly port: string } {
  const [, inBrackets, plain = text, port = ''] =
    /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(text) ?? [];
  return { name: inBrackets ?? plain, port };
}

/** Reports whether an exception has a host, in lower case. */
type HostMatch = (host: string) => boolean;

/** `example.com` has its subdomains, `.example.com` and `*.example.com` have only these. No domain has an address. */
function domain(name: string): HostMatch {
  const suffix = name.startsWith('*.') ? name.slice(1) : name;
  const below = `.${asciiDomain(suffix.replace(/^\./, ''))}`;
  const itself = suffix.startsWith('.') ? undefined : below.slice(1);
  return (host) => isIP(host) === 0 && (host === itself || host.endsWith(below));
}

/** Registries are named in ASCII. A name without such a form stays, and covers nothing. */
function asciiDomain(name: string): string {
  return domainToASCII(name) || name;
}

/** Parses `10.0.0.0/8`. Undefined: it is another text. */
function parseNetwork(text: string): HostMatch | undefined {
  const [, address = '', digits] = /^([^/]+)\/([0-9]{1,3})$/.exec(text) ?? [];
  const family = isIP(address);
  const prefix = Number(digits);
  return family === 0 || prefix > (family === 4 ? 32 : 128) ? undefined : networkOf(address, prefix);
}

/** An IPv6 network has no IPv4 address, unless it is one of IPv4 that is written as IPv6. */
function networkOf(address: string, prefix: number = isIP(address) === 4 ? 32 : 128): HostMatch {
  const list = new BlockList();
  list.addSubnet(address, prefix, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  const isOfIpv4 = isIP(address) === 4 || (isIpv4(address) && prefix >= 96);
  return (host) => {
    const family = isIP(host);
    return family !== 0 && isIpv4(host) === isOfIpv4 && list.check(host, family === 4 ? 'ipv4' : 'ipv6');
  };
}

/** Reports whether an address is one of IPv4, which can be written as IPv6. */
function isIpv4(address: string): boolean {
  return isIP(address) === 4 || ipv4InIpv6.check(address, 'ipv6');
}

const ipv4InIpv6 = new BlockList();
ipv4InIpv6.addSubnet('::ffff:0:0', 96, 'ipv6');

const loopback: readonly HostMatch[] = [networkOf('127.0.0.0', 8), networkOf('::1')];

function isThisMachine(host: string): boolean {
  return host === 'localhost' || loopback.some((network) => network(host));
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}
