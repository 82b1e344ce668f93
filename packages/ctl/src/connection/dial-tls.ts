import type { Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { formatAddress, type TlsAddress } from './address.js';
import type { TlsCredentials } from './tls-credentials.js';

/** The protocol of the agent's `tls://` listeners. */
const alpnProtocol = 'kata-agent-ttrpc';

/**
 * Connects with TLS 1.3 and believes the agent by its pin alone. Rejects with the system's error, or with a CommandError if
 * a credential is not valid or the agent is another one; the socket is then closed.
 *
 * A resolved promise does not mean that the agent accepts the client: in TLS 1.3 the server verifies the client's
 * certificate after the client has finished. See `closedBeforeAnswer`.
 */
export async function dialTls(
  address: TlsAddress,
  credentials: TlsCredentials,
  leave: AbortSignal,
): Promise<Socket> {
  const { parseCertificate, CertificateError } = await import('@kata-agent/x509');
  const socket = connect({
    host: address.host,
    port: address.port,
    secureContext: contextOf(credentials),
    ALPNProtocols: [alpnProtocol],
    // No name is asked for: the pin is compared below, before anything is sent. Node.js calls checkServerIdentity only for
    // certificates of a CA, and never for a resumed session.
    servername: '',
    rejectUnauthorized: false,
  });
  leave.addEventListener('abort', () => socket.destroy(), { once: true });
  if (leave.aborted) socket.destroy();
  try {
    await secured(socket);
    checkAgent();
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  }
  return socket;

  function checkAgent(): void {
    if (socket.isSessionReused())
      throw new Error('a TLS session was resumed: the agent is not authenticated');
    const spki = spkiOf(socket.getPeerX509Certificate()?.raw);
    if (spki !== credentials.pin) throw wrongAgent(address, spki, credentials.pin);
    if (socket.alpnProtocol !== alpnProtocol)
      throw new Error(
        `the server does not offer the protocol ${alpnProtocol}: is this a tls:// listener of an agent?`,
      );
  }

  function spkiOf(bytes: Uint8Array | undefined): string {
    try {
      if (bytes !== undefined) return parseCertificate(bytes).spki;
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      throw new Error(`the certificate of the server is not valid: ${error.message}`, { cause: error });
    }
    throw new Error('the server sent no certificate');
  }
}

/**
 * Returns the error for a connection that the agent closed before its first answer: mostly because of the client's
 * certificate.
 */
export function closedBeforeAnswer(address: TlsAddress, cause: Error): CommandError {
  const alert = /alert ([a-z ]+)/.exec(cause.message)?.[1];
  const why = alert === undefined ? '' : `: ${alert}`;
  return new CommandError(
    ExitCode.CannotApply,
    `the agent at ${formatAddress(address)} closed the connection before it answered${why}`,
    {
      help: [
        "its audit log has the reason; mostly the client's certificate has expired, is revoked, is not in peers,",
        '  is not of a CA in client_ca, or has not clientAuth among its usages',
      ],
      cause,
    },
  );
}

function wrongAgent(address: TlsAddress, found: string, expected: string): CommandError {
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

function contextOf({ cert, key }: TlsCredentials): SecureContext {
  try {
    return createSecureContext({ cert, key, minVersion: 'TLSv1.3' });
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const why = reasons[code] ?? message;
    throw new CommandError(ExitCode.Usage, `--cert and --key are not usable: ${why}`, {
      help: ['pass a certificate and its private key, both PEM and not encrypted'],
      cause: error,
    });
  }
}

const reasons: Readonly<Record<string, string>> = {
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'the key is not that of the certificate',
  ERR_OSSL_PEM_NO_START_LINE: 'a file has no PEM block of its type',
  ERR_OSSL_BAD_DECRYPT: 'the key is encrypted',
  ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: 'the key is encrypted',
  ERR_MISSING_PASSPHRASE: 'the key is encrypted',
};

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () =>
      reject(new Error('the server closed the connection during the TLS handshake')),
    );
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      resolve();
    });
  });
}
