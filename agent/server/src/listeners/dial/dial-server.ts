import { request } from 'node:http';
import type { DialAddress } from '@kata-agent/config';
import type { Certificate } from '@kata-agent/x509';
import { connectServer, hostHeader, type ServerConnection, type ServerOptions } from './connect-server.js';
import { DialFailure } from './dial-failure.js';

/** The maximum of bytes in the headers of an answer. A body is not read. */
const maxHeaderBytes = 8_192;

/**
 * Connects to a server, authenticates it and changes the protocol. Everything until the server has accepted the Upgrade has
 * one deadline. Ends when a signal aborts. Rejects with a DialFailure.
 */
export async function dialServer(
  server: ServerOptions,
  request: UpgradeRequest,
  timeoutMs: number,
  signals: readonly AbortSignal[],
): Promise<ServerConnection> {
  const attempt = new AbortController();
  const abort = (): void => attempt.abort(new DialFailure('the attempt was given up', { refused: false }));
  let verified: Certificate | undefined;
  const late = (): void => {
    const text = verified === undefined ? 'no handshake' : 'no answer to the Upgrade';
    const known = verified === undefined ? {} : { certificate: verified };
    const refused = verified !== undefined;
    attempt.abort(new DialFailure(`${text} within handshake_timeout`, { refused, ...known }));
  };
  const timer = setTimeout(late, timeoutMs);
  for (const signal of signals) {
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
  }
  try {
    const connection = await connectServer(server, attempt.signal);
    verified = connection.certificate;
    await upgrade(connection, server.address, request, attempt.signal);
    return connection;
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener('abort', abort);
  }
}

/** The request of the agent in a connection. */
interface UpgradeRequest {
  /** `kata-agent-ttrpc/1`: ttRPC. `kata-agent-relay/1`: TLS of an operator. The agent is the server of both. */
  readonly protocol: 'kata-agent-ttrpc/1' | 'kata-agent-relay/1';
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Changes the protocol of a connection by HTTP Upgrade. What the server has sent after its answer remains to be read. Ends when
 * the signal aborts, with its reason. Rejects with a DialFailure, after which the connection is destroyed.
 */
function upgrade(
  { stream, certificate }: ServerConnection,
  address: DialAddress,
  { protocol, headers }: UpgradeRequest,
  signal: AbortSignal,
): Promise<void> {
  const refused = (text: string): DialFailure => new DialFailure(text, { refused: true, certificate });
  const abort = (): void => void stream.destroy();
  return new Promise<void>((resolve, reject) => {
    const fail = (failure: unknown): void => {
      reject(signal.aborted ? (signal.reason as Error) : failure);
      stream.destroy();
    };
    signal.addEventListener('abort', abort);
    const asked = request({
      // Without an HTTP agent: the connection is not shared, and no proxy of the environment is used.
      createConnection: () => stream,
      path: address.path,
      setHost: false,
      headers: { Host: hostHeader(address), Connection: 'Upgrade', Upgrade: protocol, ...headers },
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
    });
    asked.on('error', (error: NodeJS.ErrnoException) =>
      fail(refused(`the answer to the Upgrade ended early: ${error.code ?? 'unknown error'}`)),
    );
    // Any number could follow: none is expected.
    asked.on('information', ({ statusCode }) => fail(refused(`the server answered ${statusCode}`)));
    asked.on('response', ({ statusCode }) =>
      fail(refused(`the server answered ${statusCode ?? 'nothing'} instead of 101`)),
    );
    asked.on('upgrade', (answer, _socket, head: Buffer) => {
      if (answer.statusCode !== 101 || answer.headers.upgrade !== protocol) {
        fail(refused(`the server changed to another protocol than ${protocol}`));
        return;
      }
      if (head.length > 0) stream.unshift(head);
      resolve();
    });
    asked.end();
    if (signal.aborted) abort();
  }).finally(() => signal.removeEventListener('abort', abort));
}
