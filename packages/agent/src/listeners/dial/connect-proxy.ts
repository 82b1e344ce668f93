import { request } from 'node:http';
import { isIPv6, connect, type Socket } from 'node:net';
import type { DialAddress, ProxyAddress } from '@kata-agent/config';
import { DialFailure } from './dial-failure.js';

/** The headers of a proxy's answer have no more bytes. */
const maxHeaderBytes = 8_192;

/**
 * Connects to a server through an HTTP proxy (CONNECT). The proxy looks up the server's name. Ends when the signal aborts.
 * Rejects with a DialFailure that has no text of the proxy, after which the connection is destroyed.
 */
export function connectProxy(
  proxy: ProxyAddress,
  { host, port }: Pick<DialAddress, 'host' | 'port'>,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = connect({ ...proxy, noDelay: true });
  const failed = (text: string): DialFailure =>
    new DialFailure(`the proxy ${placeOf(proxy)} ${text}`, { refused: false });
  const abort = (): void => void socket.destroy();
  return new Promise<Socket>((resolve, reject) => {
    const fail = (text: string): void => {
      reject(failed(signal.aborted ? `has not connected: ${(signal.reason as Error).message}` : text));
      socket.destroy();
    };
    signal.addEventListener('abort', abort);
    const target = placeOf({ host, port });
    const asked = request({
      // Without an agent: nobody else uses the connection, and nothing comes from the environment.
      createConnection: () => socket,
      method: 'CONNECT',
      path: target,
      setHost: false,
      headers: { Host: target },
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

function placeOf({ host, port }: ProxyAddress): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
