import { X509Certificate } from 'node:crypto';
import { isIP, isIPv6, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { AuditLog } from '@kata-agent/audit';
import { type DialAddress, type DialSettings, type ProxyAddress, proxyAddress } from '@kata-agent/config';
import type { Turns } from '@kata-agent/connection-limits';
import { connectProxy as connectThroughProxy, ProxyError } from '@kata-agent/linux';
import { type Certificate, formatPin, readCertificate } from '@kata-agent/x509';
import type { Log } from '../../log.js';
import type { Caller } from '../../caller.js';
import type { ConnectionRecords } from '../connections.js';
import { readCas } from '../tls/client-ca.js';
import type { OwnIdentity } from '../tls/tls-identity.js';
import type { Revocations } from '../tls/revocations.js';
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

/** The result of a handshake with a server. */
interface ServerHandshake {
  /** OpenSSL has verified the chain. */
  readonly authorized: boolean;
  readonly resumed: boolean;
  readonly alpnProtocol: string | false | null;
  /** In DER. */
  readonly certificate: Uint8Array | undefined;
}

interface ExpectedServer {
  readonly host: string;
  /** `spki:sha256:HEX`, of which one must match; none: any key. */
  readonly pins: readonly string[];
  /** Wall time, in milliseconds of the epoch. */
  readonly now: number;
}

/** Returns the certificate of an accepted server. Throws a DialFailure. */
export function authenticateServer(handshake: ServerHandshake, expected: ExpectedServer): Certificate {
  const { host, pins, now } = expected;
  const refused = (text: string, certificate?: Certificate): DialFailure =>
    new DialFailure(text, { refused: true, ...(certificate === undefined ? {} : { certificate }) });
  if (!handshake.authorized || handshake.certificate === undefined)
    throw refused("no CA of server_ca has signed the server's certificate");
  // OpenSSL verifies nothing in a resumed session.
  if (handshake.resumed) throw refused('the server resumed a session');
  if (handshake.alpnProtocol !== false && handshake.alpnProtocol !== 'http/1.1')
    throw refused('the server chose another protocol than HTTP/1.1 (ALPN)');
  const certificate = readCertificate(handshake.certificate);
  if (typeof certificate === 'string') throw refused(`the server's certificate is not valid: ${certificate}`);
  if (!hasName(handshake.certificate, host)) throw refused(`the server's certificate does not name ${host}`);
  if (now < certificate.notBefore) throw refused("the server's certificate is not yet valid", certificate);
  if (now >= certificate.notAfter) throw refused("the server's certificate has expired", certificate);
  if (pins.length > 0 && !pins.includes(formatPin(certificate.spki)))
    throw refused("the server's key is not in pins", certificate);
  return certificate;
}

/** Reports whether a certificate has the name as an alternative name: a common name does not count. */
function hasName(bytes: Uint8Array, host: string): boolean {
  const certificate = new X509Certificate(bytes);
  return isIP(host) === 0
    ? certificate.checkHost(host, { subject: 'never', partialWildcards: false }) !== undefined
    : certificate.checkIP(host) !== undefined;
}

/** Connects to a server through a proxy. Ends when the signal aborts. Rejects with a DialFailure, not refused. */
async function connectProxy(
  proxy: ProxyAddress,
  { host, port }: Pick<DialAddress, 'host' | 'port'>,
  signal: AbortSignal,
): Promise<Socket> {
  try {
    return await connectThroughProxy(proxy, { host, port }, signal);
  } catch (error) {
    if (error instanceof ProxyError) throw new DialFailure(error.message, { refused: false });
    throw error;
  }
}

/** Returns the header Host of a request to an `https://` address. */
export function hostHeader({ host, port }: DialAddress): string {
  const name = isIPv6(host) ? `[${host}]` : host;
  return port === 443 ? name : `${name}:${port}`;
}

/** Returns how the server of a listener is reached and authenticated. Throws a TlsSettingError if `server_ca` is not valid. */
export function dialledServer(
  address: DialAddress,
  dial: Pick<DialSettings, 'serverCa' | 'pins' | 'proxy'>,
  { own }: Pick<DialContext, 'own'>,
): ServerOptions {
  const proxy = dial.proxy === undefined ? undefined : proxyAddress(dial.proxy);
  return {
    address,
    ...(proxy === undefined ? {} : { proxy }),
    context: serverContext(readCas('server_ca', [dial.serverCa]), own),
    pins: dial.pins,
    now: Date.now,
  };
}

/** The parts that all outgoing connections of a listener share. */
export interface DialContext {
  /** The listener. */
  readonly name: string;
  readonly own: Pick<OwnIdentity, 'key' | 'certificate'>;
  readonly revocations: Revocations;
  /** As in `TlsEngineOptions`. */
  readonly turns?: Turns;
  readonly records: Pick<ConnectionRecords, 'begin'>;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly log: Log;
  /** Ends a connection whose sent bytes are not acknowledged for a time: `limitUnacknowledged` of lib/linux. */
  readonly limitUnacknowledged: (stream: TLSSocket, milliseconds: number) => void;
  readonly serve: (stream: TLSSocket, caller: Caller) => void;
}
