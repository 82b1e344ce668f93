import { request } from 'node:http';
import { connect, isIP, isIPv6, type Socket } from 'node:net';

/** A host, without brackets, and a port. */
export interface NetworkPlace {
  readonly host: string;
  readonly port: number;
}

/** An HTTP proxy. */
export interface HttpProxy extends NetworkPlace {
  /** The header Proxy-Authorization; absent: none is sent. */
  readonly authorization?: string;
  /** Whether the proxy itself is reached by TLS, with the CAs of Node.js. */
  readonly secure?: boolean;
}

/** A proxy that gave no connection. The message names the proxy, and has no text of it. */
export class ProxyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProxyError';
  }
}

/** The headers of a proxy's answer have no more bytes. */
const maxHeaderBytes = 8_192;

/**
 * Connects to a server through an HTTP proxy (CONNECT). The proxy looks up the server's name. Ends when the signal aborts, whose
 * reason is an Error. Rejects with a ProxyError, after which the connection is destroyed.
 */
export async function connectProxy(
  proxy: HttpProxy,
  { host, port }: NetworkPlace,
  signal: AbortSignal,
): Promise<Socket> {
  // The agent starts without TLS, and has no such proxy.
  const tls = proxy.secure === true ? await import('node:tls') : undefined;
  // Listeners for its errors follow before anything is awaited.
  const socket = openProxy(proxy, tls);
  const abort = (): void => void socket.destroy();
  return new Promise<Socket>((resolve, reject) => {
    const fail = (text: string): void => {
      const why = signal.aborted ? `has not connected: ${(signal.reason as Error).message}` : text;
      reject(new ProxyError(`the proxy ${formatNetworkPlace(proxy)} ${why}`));
      socket.destroy();
    };
    signal.addEventListener('abort', abort);
    const target = formatNetworkPlace({ host, port });
    const asked = request({
      // Without an agent: nobody else uses the connection, and nothing comes from the environment.
      createConnection: () => socket,
      method: 'CONNECT',
      path: target,
      setHost: false,
      headers: {
        Host: target,
        ...(proxy.authorization === undefined ? {} : { 'Proxy-Authorization': proxy.authorization }),
      },
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
    });
    asked.on('error', (error: NodeJS.ErrnoException) =>
      fail(`cannot be used: ${error.code ?? 'unknown error'}`),
    );
    // Any number could follow: none is expected.
    asked.on('information', ({ statusCode }) => fail(`answered ${statusCode}`));
    // With CONNECT this is the event of every other status too.
    asked.on('connect', ({ statusCode = 0 }, _socket, head: Buffer) => {
      if (statusCode < 200 || statusCode > 299) fail(`answered ${statusCode}`);
      // The server speaks second: these bytes are the proxy's.
      else if (head.length > 0) fail(`answered ${statusCode}, and sent more before the server could`);
      else {
        // From here on errors are those of the TLS stream in it.
        socket.on('error', () => undefined);
        resolve(socket);
      }
    });
    asked.end();
    if (signal.aborted) abort();
  }).finally(() => signal.removeEventListener('abort', abort));
}

function openProxy(
  { host, port }: HttpProxy,
  tls: Pick<typeof import('node:tls'), 'connect'> | undefined,
): Socket {
  if (tls === undefined) return connect({ host, port, noDelay: true });
  const servername = isIP(host) === 0 ? host : '';
  return tls.connect({ host, port, servername, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] });
}

/** Returns `HOST:PORT`, with brackets around an IPv6 address. */
export function formatNetworkPlace({ host, port }: NetworkPlace): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
