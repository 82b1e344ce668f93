import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { Certificate } from '@kata-agent/x509';
import { CommandError, ExitCode } from '../command/command-error.js';

/** The certificate of a client. */
export interface ClientIdentity {
  /** PEM: the certificate, and those of intermediate CAs. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

/**
 * Connects with TLS, and completes the handshake. The caller must still check the server before it sends anything. Rejects with
 * the system's error; the socket is then closed.
 */
export async function handshake(options: ConnectionOptions, leave: AbortSignal): Promise<TLSSocket> {
  const socket = connect(options);
  leave.addEventListener('abort', () => socket.destroy(), { once: true });
  if (leave.aborted) socket.destroy();
  try {
    await secured(socket);
    // A resumed session is not authenticated.
    if (socket.isSessionReused())
      throw new Error('a TLS session was resumed: the server is not authenticated');
  } catch (error) {
    abandon(socket);
    throw error;
  }
  return socket;
}

/** Closes a connection to a server that is not accepted. */
export function abandon(socket: TLSSocket): void {
  socket.on('error', () => undefined);
  socket.destroy();
}

/** The certificate of a server. */
interface ServerCertificate {
  readonly der: Uint8Array;
  readonly parsed: Certificate;
}

/** Reads the server's certificate, strictly. Throws an Error. Node.js returns it only once for each connection. */
export async function serverCertificate(socket: TLSSocket): Promise<ServerCertificate> {
  const { parseCertificate, CertificateError } = await import('@kata-agent/x509');
  const der = socket.getPeerX509Certificate()?.raw;
  if (der === undefined) throw new Error('the server sent no certificate');
  try {
    return { der, parsed: parseCertificate(der) };
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new Error(`the certificate of the server is not valid: ${error.message}`, { cause: error });
  }
}

/** Returns a context for TLS 1.3. Throws a CommandError if certificate and key are not usable. */
export function clientContext({ cert, key }: ClientIdentity, ca?: readonly string[]): SecureContext {
  try {
    return createSecureContext({
      cert,
      key,
      minVersion: 'TLSv1.3',
      // Of a CA that is named, certificates with weak keys are not accepted either.
      ...(ca === undefined ? {} : { ca: [...ca], ciphers: 'DEFAULT:@SECLEVEL=2' }),
    });
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

/** Returns the text of a TLS alert of the server. */
export function alertOf({ message }: Error): string | undefined {
  return /alert ([a-z ]+)/.exec(message)?.[1];
}

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
