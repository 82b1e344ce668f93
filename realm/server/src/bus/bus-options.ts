import { isIPv4 } from 'node:net';

/** How a realm reaches its bus. */
export interface BusOptions {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** Otherwise the servers are loopback addresses. */
  readonly tls: boolean;
  /** Paths: PEM of the CAs, of a client certificate and its key; a file of credentials, or an nkey seed. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly creds: string | undefined;
  readonly nkey: string | undefined;
}

const defaultPort = 4222;

/**
 * Parses the servers of `--bus`: `nats://HOST:PORT[,HOST:PORT]`, or `tls://`. Throws an Error that says what is wrong.
 */
export function parseBusServers(text: string): Pick<BusOptions, 'servers' | 'tls'> {
  const [, scheme, list = ''] = /^(nats|tls):\/\/(.+)$/.exec(text) ?? [];
  if (scheme === undefined) throw new Error('must be nats://HOST:PORT[,HOST:PORT] or tls://…');
  const tls = scheme === 'tls';
  const servers = list.split(',').map((each) => {
    const [, v6, name, digits] =
      /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(each) ?? [];
    const host = v6 ?? name;
    const port = digits === undefined ? defaultPort : Number(digits);
    if (host === undefined || port < 1 || port > 65_535) throw new Error(`'${each}' is not HOST:PORT`);
    if (!tls && !isLoopback(host))
      throw new Error(`'${host}' is not a loopback address, and nats:// has no TLS: use tls://`);
    return { host, port };
  });
  return { servers, tls };
}

function isLoopback(host: string): boolean {
  // Anything that is not an address would be looked up, also 127.0.0.999.
  return (isIPv4(host) && host.startsWith('127.')) || host === '::1';
}

/** The bus cannot be used; `help` are remedies. */
export class BusError extends Error {
  readonly help: readonly string[];

  constructor(message: string, help: readonly string[]) {
    super(message);
    this.name = 'BusError';
    this.help = help;
  }
}
