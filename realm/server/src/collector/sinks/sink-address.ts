import { readFile } from 'node:fs/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { type BusOptions, parseBusServers } from '../../bus/bus-options.js';
import { StoreError } from '../../store/own-file.js';

/** A receiver, as `--to` names it. */
export type SinkAddress =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'otlp'; readonly url: string; readonly isTls: boolean }
  | { readonly kind: 'syslog'; readonly host: string; readonly port: number }
  | ({ readonly kind: 'jetstream'; readonly stream: string } & Pick<BusOptions, 'servers' | 'tls'>);

export const sinkForms: string =
  'DIR, otlp+https://HOST[:PORT][/v1/logs], otlp+http://127.0.0.1:4318, syslog+tls://HOST[:6514] or jetstream+tls://HOST[:4222][,HOST…][/STREAM]';

const otlpPort = 4318;
const syslogPort = 6514;
const defaultStream = 'kata-audit';

/** Parses `--to`. Throws an Error that says what is wrong. */
export function parseSink(text: string): SinkAddress {
  const [, scheme, rest = ''] = /^([a-z0-9+.-]+):\/\/(.*)$/s.exec(text) ?? [];
  switch (scheme) {
    case undefined:
      if (text === '') throw new Error('it is empty');
      return { kind: 'directory', path: text };
    case 'otlp+https':
    case 'otlp+http':
      return otlp(rest, scheme === 'otlp+https');
    case 'syslog+tls':
      return { kind: 'syslog', ...hostAndPort(rest, syslogPort) };
    case 'jetstream+tls':
    case 'jetstream+nats':
      return jetstream(rest, scheme === 'jetstream+tls');
    default:
      throw new Error(`unknown scheme ${scheme}://`);
  }
}

function otlp(rest: string, isTls: boolean): SinkAddress {
  const slash = rest.indexOf('/');
  const [server, path] = slash < 0 ? [rest, ''] : [rest.slice(0, slash), rest.slice(slash)];
  const { host, port } = hostAndPort(server, otlpPort);
  if (!/^[\x21-\x7e]*$/.test(path) || /[?#]/.test(path)) throw new Error(`'${path}' is not a path`);
  if (!isTls && !isLoopback(host))
    throw new Error(`'${host}' is not a loopback address, and otlp+http:// has no TLS: use otlp+https://`);
  const name = host.includes(':') ? `[${host}]` : host;
  const url = `${isTls ? 'https' : 'http'}://${name}:${port}${path === '' || path === '/' ? '/v1/logs' : path}`;
  return { kind: 'otlp', url, isTls };
}

function jetstream(rest: string, isTls: boolean): SinkAddress {
  const slash = rest.indexOf('/');
  const [servers, name] = slash < 0 ? [rest, ''] : [rest.slice(0, slash), rest.slice(slash + 1)];
  const stream = name === '' ? defaultStream : name;
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(stream))
    throw new Error(`'${stream}' is not the name of a stream: letters, digits, - and _`);
  return { kind: 'jetstream', stream, ...parseBusServers(`${isTls ? 'tls' : 'nats'}://${servers}`) };
}

function hostAndPort(text: string, usual: number): { readonly host: string; readonly port: number } {
  const [, v6, name, digits] = /^(?:\[([^\]]*)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = v6 ?? name;
  const port = digits === undefined ? usual : Number(digits);
  if (host === undefined || (v6 !== undefined && !isIPv6(v6)) || port < 1 || port > 65_535)
    throw new Error(`'${text}' is not HOST:PORT; an IPv6 address is in brackets`);
  return { host, port };
}

function isLoopback(host: string): boolean {
  return (isIPv4(host) && host.startsWith('127.')) || host === '::1' || host === 'localhost';
}

/** TLS to a receiver. Without `ca` the CAs of Node.js. */
export interface SinkTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly minVersion: 'TLSv1.2';
}

/** Paths of PEM files, as options name them. */
interface SinkFiles {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Reads the files. Throws a StoreError. */
export async function readSinkTls({ ca, cert, key }: SinkFiles): Promise<SinkTls> {
  if ((cert === undefined) !== (key === undefined))
    throw new StoreError(
      `--to-${cert === undefined ? 'key' : 'cert'} without --to-${cert === undefined ? 'cert' : 'key'}`,
      'a client certificate needs both: --to-cert FILE --to-key FILE',
    );
  return {
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca: await read('--to-ca', ca) }),
    ...(cert === undefined ? {} : { cert: await read('--to-cert', cert) }),
    ...(key === undefined ? {} : { key: await read('--to-key', key) }),
  };
}

async function read(option: string, path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: Error) => {
    throw new StoreError(`${option}: cannot read ${path}: ${error.message}`, 'name a PEM file', {
      cause: error,
    });
  });
}
