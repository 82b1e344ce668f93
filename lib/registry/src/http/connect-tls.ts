import { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import {
  connectProxy,
  formatNetworkPlace,
  type HttpProxy,
  type NetworkPlace,
  ProxyError,
} from '@kata-agent/linux';
import { ImageError } from '../errors/image-error.js';
import { isLocalAddress, localAddressCode, lookupElsewhere } from './local-addresses.js';

export interface TlsOptions {
  readonly context: SecureContext;
  /** Absent: the server is reached directly. */
  readonly proxy?: HttpProxy;
  /** Refuses a server at a local address. Of one that is reached through a proxy only the name is known. */
  readonly elsewhere?: boolean;
}

/**
 * Connects to a server by TLS and authenticates it: its chain by the context's CAs, its name by alternative names alone. Ends when the
 * signal aborts. Rejects with an ImageError.
 */
export async function connectTls(
  place: NetworkPlace,
  options: TlsOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { context, proxy, elsewhere = false } = options;
  const name = formatNetworkPlace(place);
  if (elsewhere && isLocalAddress(place.host)) throw local(name);
  const socket = proxy === undefined ? undefined : await throughProxy(proxy, place, signal);
  const stream = connect({
    ...(socket === undefined ? { ...place, ...(elsewhere ? { lookup: lookupElsewhere } : {}) } : { socket }),
    servername: isIP(place.host) === 0 ? place.host : '',
    secureContext: context,
    rejectUnauthorized: true,
    // Node.js also believes common names: the name is compared below.
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['http/1.1'],
  });
  const abort = (): void => void stream.destroy();
  return new Promise<TLSSocket>((resolve, reject) => {
    const unreachable = (why: string): ImageError =>
      new ImageError('registry-unreachable', `${name} cannot be reached: ${why}`);
    signal.addEventListener('abort', abort);
    stream.on('error', (error) => reject(failureOf(error, stream, name)));
    stream.once('close', () =>
      reject(unreachable(signal.aborted ? 'no connection in time' : 'the connection was closed')),
    );
    stream.once('secureConnect', () => {
      const why = whyNotAuthentic(stream, place.host);
      if (why === undefined) {
        stream.setNoDelay(true);
        resolve(stream);
        return;
      }
      reject(new ImageError('registry-untrusted', `${name} ${why}`));
      stream.destroy();
    });
    if (signal.aborted) abort();
  }).finally(() => signal.removeEventListener('abort', abort));
}

async function throughProxy(proxy: HttpProxy, place: NetworkPlace, signal: AbortSignal): Promise<Socket> {
  try {
    return await connectProxy(proxy, place, signal);
  } catch (error) {
    if (error instanceof ProxyError) throw new ImageError('proxy-failed', error.message);
    throw error;
  }
}

function whyNotAuthentic(stream: TLSSocket, host: string): string | undefined {
  const certificate = stream.getPeerX509Certificate();
  if (!stream.authorized || certificate === undefined) return 'has a certificate of no trusted CA';
  // OpenSSL verifies nothing in a resumed session.
  if (stream.isSessionReused()) return 'resumed a session';
  return hasName(certificate, host) ? undefined : 'has a certificate of another name';
}

function hasName(certificate: X509Certificate, host: string): boolean {
  return isIP(host) === 0
    ? certificate.checkHost(host, { subject: 'never' }) !== undefined
    : certificate.checkIP(host) !== undefined;
}

function local(name: string): ImageError {
  return new ImageError(
    'redirect-refused',
    `the registry redirects to ${name}, which is an address of the guest or of its cloud`,
  );
}

function failureOf(error: NodeJS.ErrnoException, stream: TLSSocket, name: string): ImageError {
  if (error.code === localAddressCode) return local(name);
  const code = error.code ?? 'unknown error';
  // Set by Node.js when OpenSSL does not accept the chain; its type says otherwise.
  const verification: unknown = stream.authorizationError;
  if (verification !== null && verification !== undefined)
    return new ImageError('registry-untrusted', `${name} has a certificate that is not trusted (${code})`);
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return new ImageError('registry-untrusted', `${name} failed the TLS handshake (${code})`);
  return new ImageError('registry-unreachable', `${name} cannot be reached: ${code}`);
}
