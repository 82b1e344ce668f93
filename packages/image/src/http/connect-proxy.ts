import { request } from 'node:http';
import { connect, isIPv6, type Socket } from 'node:net';
import { ImageError } from '../errors/image-error.js';

export interface Place {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The headers of a proxy's answer have no more bytes. */
const maxHeaderBytes = 8_192;

/**
 * Connects to a server through an HTTP proxy (CONNECT). The proxy looks up the server's name. Ends when the signal aborts. Rejects with
 * an ImageError, after which the connection is destroyed.
 */
export function connectProxy(proxy: Place, target: Place, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ ...proxy, noDelay: true });
  const abort = (): void => void socket.destroy();
  return new Promise<Socket>((resolve, reject) => {
    const fail = (text: string): void => {
      reject(new ImageError('proxy-failed', `the proxy ${formatPlace(proxy)} ${text}`));
      socket.destroy();
    };
    signal.addEventListener('abort', abort);
    const place = formatPlace(target);
    const asked = request({
      // Without an agent: nobody else uses the connection, and nothing comes from the environment.
      createConnection: () => socket,
      method: 'CONNECT',
      path: place,
      setHost: false,
      headers: { Host: place },
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
    });
    asked.on('error', (error: NodeJS.ErrnoException) =>
      fail(signal.aborted ? 'has not connected in time' : `cannot be used: ${error.code ?? 'unknown error'}`),
    );
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

export function formatPlace({ host, port }: Place): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
