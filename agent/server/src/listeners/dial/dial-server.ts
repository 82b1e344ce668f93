import type { Certificate } from '@kata-agent/x509';
import { connectServer, type ServerConnection, type ServerOptions } from './connect-server.js';
import { DialFailure } from './dial-failure.js';
import { upgrade, type UpgradeRequest } from './upgrade.js';

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
