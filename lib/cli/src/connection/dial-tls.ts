import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { CommandError, ExitCode } from '../command/command-error.js';
import { type Address, formatAddress } from './address.js';
import { abandon, alertOf, clientContext, handshake, serverCertificate } from './tls-client.js';
import type { TlsCredentials } from './tls-credentials.js';

/** The protocol of the agent's `tls://` listeners. */
const alpnProtocol = 'kata-agent-ttrpc';

/** The key of the server of each connection: Node.js returns a certificate only once. */
const keys = new WeakMap<object, string>();

/** Returns the SHA-256 of the public key of the server of a connection that `dialTls` has made, in hex. */
export function serverKey(socket: object): string | undefined {
  return keys.get(socket);
}

/**
 * Connects with TLS 1.3 and believes the agent by its pin alone. Without a pin, the caller must verify evidence before it sends
 * anything else. `place` is where: host and port, or a connected stream.
 * Rejects with the system's error, or with a CommandError if a credential is not valid or the agent is another one; the socket
 * is then closed.
 *
 * A resolved promise does not mean that the agent accepts the client: in TLS 1.3 the server verifies the client's
 * certificate after the client has finished. See `closedBeforeAnswer`.
 */
export async function dialTls(
  place: Pick<ConnectionOptions, 'host' | 'port' | 'socket'>,
  address: Address,
  credentials: TlsCredentials,
  leave: AbortSignal,
): Promise<TLSSocket> {
  const options = {
    ...place,
    secureContext: clientContext(credentials),
    ALPNProtocols: [alpnProtocol],
    // No name is asked for: the pin is compared below, before anything is sent. Node.js calls checkServerIdentity only for
    // certificates of a CA, and never for a resumed session.
    servername: '',
    rejectUnauthorized: false,
  };
  const socket = await handshake(options, leave);
  try {
    const { spki } = (await serverCertificate(socket)).parsed;
    keys.set(socket, spki);
    if (credentials.pin !== undefined && spki !== credentials.pin)
      throw wrongAgent(address, spki, credentials.pin);
    if (socket.alpnProtocol !== alpnProtocol)
      throw new Error(
        `the server does not offer the protocol ${alpnProtocol}: is this a tls:// listener of an agent?`,
      );
    return socket;
  } catch (error) {
    abandon(socket);
    throw error;
  }
}

/**
 * Returns the error for a connection that the agent closed before its first answer, usually because of the client's
 * certificate.
 */
export function closedBeforeAnswer(address: Address, cause: Error): CommandError {
  const alert = alertOf(cause);
  const why = alert === undefined ? '' : `: ${alert}`;
  return new CommandError(
    ExitCode.CannotApply,
    `the agent at ${formatAddress(address)} closed the connection before it answered${why}`,
    {
      help: [
        "see its audit log; common reasons: the client's certificate has expired, is revoked, is not in peers,",
        '  is not of a CA in client_ca, or has not clientAuth among its usages',
      ],
      cause,
    },
  );
}

/** Returns the error for an agent whose key differs from the pin. */
export function wrongAgent(address: Address, found: string, expected: string): CommandError {
  return new CommandError(
    ExitCode.CannotApply,
    `the server at ${formatAddress(address)} is not the expected agent: its public key is spki:sha256:${found}`,
    {
      help: [
        `--pin expects spki:sha256:${expected}`,
        'an agent that was started again has a new key; otherwise another server answers at this address',
      ],
    },
  );
}
