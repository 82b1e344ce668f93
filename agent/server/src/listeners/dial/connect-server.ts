import { isIP } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { DialAddress, ProxyAddress } from '@kata-agent/config';
import type { Certificate } from '@kata-agent/x509';
import type { OwnIdentity } from '../tls/own-identity.js';
import { authenticateServer } from './authenticate-server.js';
import { connectProxy } from './connect-proxy.js';
import { DialFailure } from './dial-failure.js';

export interface ServerOptions {
  readonly address: DialAddress;
  /** Absent: the server is dialled directly. */
  readonly proxy?: ProxyAddress;
  /** By `serverContext`. */
  readonly context: SecureContext;
  readonly pins: readonly string[];
  /** Returns the wall time in milliseconds of the epoch. */
  readonly now: () => number;
}

/**
 * Returns the context of all connections to a server: made once, since each costs memory and time.
 *
 * @param serverCa Each CA as PEM. At least one: without one Node.js would trust all CAs of the web.
 * @param own Absent: the server gets no certificate.
 */
export function serverContext(
  serverCa: readonly string[],
  own?: Pick<OwnIdentity, 'key' | 'certificate'>,
): SecureContext {
  return createSecureContext({
    ca: [...serverCa],
    ...(own === undefined ? {} : { key: own.key, cert: own.certificate }),
    minVersion: 'TLSv1.3',
    ciphers: 'DEFAULT:@SECLEVEL=2',
    // With a finite-field group, which a server can insist on, a handshake costs the event loop 100 ms and more.
    ecdhCurve: 'X25519:P-256:P-384',
  });
}

/** A connection to an authenticated server. Nothing has been sent in it. */
export interface ServerConnection {
  readonly stream: TLSSocket;
  readonly certificate: Certificate;
}

/**
 * Connects to a server and authenticates it. Ends when the signal aborts, with its reason. No option is left to defaults
 * that the environment changes. Rejects with a DialFailure.
 */
export async function connectServer(options: ServerOptions, signal: AbortSignal): Promise<ServerConnection> {
  const { address, proxy, context, pins, now } = options;
  const { host, port } = address;
  const socket = proxy === undefined ? undefined : await connectProxy(proxy, address, signal);
  const stream = connect({
    ...(socket === undefined ? { host, port } : { socket }),
    servername: isIP(host) === 0 ? host : '',
    secureContext: context,
    rejectUnauthorized: true,
    // Names are compared after the handshake, with the rest: Node.js also believes common names.
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['http/1.1'],
  });
  const abort = (): void => void stream.destroy(signal.reason as Error);
  return new Promise<ServerConnection>((resolve, reject) => {
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    // Stays: errors after this are followed by the close, which is handled.
    stream.on('error', (error) => reject(failureOf(error, stream)));
    stream.once('close', () => reject(new DialFailure('the connection was closed', { refused: false })));
    stream.once('secureConnect', () => {
      try {
        const handshake = {
          authorized: stream.authorized,
          resumed: stream.isSessionReused(),
          alpnProtocol: stream.alpnProtocol,
          certificate: stream.getPeerX509Certificate()?.raw,
        };
        const certificate = authenticateServer(handshake, { host, pins, now: now() });
        stream.setNoDelay(true);
        resolve({ stream, certificate });
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
  }).finally(() => signal.removeEventListener('abort', abort));
}

function failureOf(error: NodeJS.ErrnoException, stream: TLSSocket): DialFailure {
  if (error instanceof DialFailure) return error;
  // Set by Node.js when OpenSSL does not accept the chain; its type says otherwise.
  const verification: unknown = stream.authorizationError;
  if (verification !== null && verification !== undefined) {
    const why = error.code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not accepted by server_ca';
    return new DialFailure(`the server's certificate ${why} (${error.code ?? 'unknown'})`, { refused: true });
  }
  const code = error.code ?? 'unknown error';
  const refused = code.startsWith('ERR_SSL_') || code === 'EPROTO';
  return new DialFailure(refused ? `the handshake failed: ${code}` : code, { refused });
}
