import { BlockList, isIP } from 'node:net';
import { CommandError, ExitCode } from '@kata-agent/cli';
import type { HttpProxy, NetworkPlace } from '@kata-agent/registry';

/** Environment variables by name. */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the choice of a proxy for servers that are reached by https, as `HTTPS_PROXY` and `NO_PROXY` say, or the same in lower case.
 * `HTTP_PROXY` is of servers without TLS, which are never asked. Throws a CommandError (2) for a variable that is not a proxy; the message
 * does not have its value, which may have a password.
 *
 * Source: golang.org/x/net/http/httpproxy, as Docker, Podman and containerd have it: this machine itself is never reached through a proxy.
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
  if (network !== undefined) return ({ host }) => contains(network, host);
  const [, written = text, port] = /^(\[.*\]|[^:]*)(?::([0-9]+))?$/.exec(text) ?? [];
  const name = withoutBrackets(written);
  const covers = isIP(name) === 0 ? domain(name) : (host: string) => contains(networkOf(name), host);
  return (place) => (port === undefined || Number(port) === place.port) && covers(place.host);
}

/** `example.com` has its subdomains, `.example.com` and `*.example.com` have only these. */
function domain(name: string): (host: string) => boolean {
  const suffix = name.startsWith('*.') ? name.slice(1) : name;
  if (suffix.startsWith('.')) return (host) => host.endsWith(suffix);
  return (host) => host === suffix || host.endsWith(`.${suffix}`);
}

/** Parses `10.0.0.0/8`. Undefined: it is another text. */
function parseNetwork(text: string): BlockList | undefined {
  const [, address = '', digits] = /^([^/]+)\/([0-9]{1,3})$/.exec(text) ?? [];
  const family = isIP(address);
  const prefix = Number(digits);
  return family === 0 || prefix > (family === 4 ? 32 : 128) ? undefined : networkOf(address, prefix);
}

function networkOf(address: string, prefix: number = isIP(address) === 4 ? 32 : 128): BlockList {
  const list = new BlockList();
  list.addSubnet(address, prefix, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  return list;
}

function contains(network: BlockList, host: string): boolean {
  const family = isIP(host);
  return family !== 0 && network.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

const loopback: readonly BlockList[] = [networkOf('127.0.0.0', 8), networkOf('::1')];

function isThisMachine(host: string): boolean {
  return host === 'localhost' || loopback.some((network) => contains(network, host));
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}
