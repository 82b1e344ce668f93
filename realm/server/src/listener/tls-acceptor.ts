import type { Socket } from 'node:net';
import type { TlsOptions, TLSSocket } from 'node:tls';
import { addressGroup, HandshakeServers } from '@kata-agent/connection-limits';
import { type Certificate, readCertificate } from '@kata-agent/x509';
import { type Bounds, ConnectionBounds, type Drop } from './connection-bounds.js';

export interface TlsAcceptorOptions {
  readonly bounds: Bounds;
  readonly tls: TlsOptions;
  /** What a handshake shows of a client: TLS has verified its certificate, or it has any key. */
  readonly client: 'verified' | 'any';
  /** A connection was closed before its client was accepted. `from`: the remote address, of IPv6 its /64. */
  readonly onDrop: (from: string, why: Drop) => void;
  /** Is called with each connection whose client is accepted. */
  readonly onAccept: (socket: Socket) => void;
  /** A handshake has ended. */
  readonly onSecure: (stream: TLSSocket, from: string) => void;
  /** A handshake has failed. `stream` is closed after this. */
  readonly onFailure: (stream: TLSSocket, error: NodeJS.ErrnoException, from: string) => void;
}

/** Does the handshakes of a listener, within bounds. */
export class TlsAcceptor {
  readonly #options: TlsAcceptorOptions;
  readonly #bounds: ConnectionBounds;
  /** Node.js has no public member that tells the connection below a TLSSocket. */
  readonly #below = new WeakMap<object, { readonly socket: Socket; readonly from: string }>();
  #handshakes: HandshakeServers;

  /** Throws if an option of TLS is not valid. */
  constructor(options: TlsAcceptorOptions) {
    const { bounds, tls, onDrop, onAccept } = options;
    this.#options = options;
    this.#handshakes = new HandshakeServers(tls);
    this.#bounds = new ConnectionBounds(bounds, onDrop, onAccept);
  }

  /** For handshakes from now on. Throws if an option is not valid. */
  replace(tls: TlsOptions): void {
    this.#handshakes = new HandshakeServers(tls);
  }

  /** Takes over a connection of TCP, of which nothing has been read. */
  add(socket: Socket): void {
    const { client, onSecure, onFailure } = this.#options;
    // Servers of HTTP accept connections half-open. Until `accept` a client that ends its side has left.
    socket.allowHalfOpen = false;
    const from = socket.remoteAddress === undefined ? 'unknown' : addressGroup(socket.remoteAddress);
    this.#bounds.add(socket, (bytes) =>
      this.#handshakes.begin(bytes, {
        secure: (stream) => {
          stream.on('error', () => undefined);
          this.#below.set(stream, { socket, from });
          if (this.#bounds.handshaken(socket, client)) onSecure(stream, from);
          else stream.destroy();
        },
        failed: (error, stream) => {
          this.#bounds.handshaken(socket, 'refused');
          if (!this.#bounds.hasDropped(socket)) onFailure(stream, error, from);
          stream.destroy();
        },
      }),
    );
  }

  /**
   * Notes that the client of a connection is accepted. From now on it may end its side, and still gets what is sent to it;
   * before, that would keep its place until the timeout.
   */
  accept(stream: TLSSocket): void {
    stream.allowHalfOpen = true;
    const below = this.#below.get(stream);
    if (below !== undefined) this.#bounds.accept(below.socket);
  }

  /** Returns the remote address of a connection, also after it has closed; of IPv6 its /64. */
  from(stream: object): string {
    return this.#below.get(stream)?.from ?? 'unknown';
  }

  /** Closes all connections, or those whose clients are not yet accepted. */
  destroy(which: 'all' | 'pending'): void {
    this.#bounds.destroy(which);
  }
}

/** Returns the certificate of the other end of a connection, or why it is not accepted. Its chain is verified elsewhere. */
export function peerOf(socket: TLSSocket): Certificate | string {
  // OpenSSL verifies nothing in a resumed session: it would have the identity of an earlier one.
  if (socket.isSessionReused()) return 'the client resumed a session';
  if (socket.alpnProtocol !== false && socket.alpnProtocol !== 'http/1.1')
    return 'the client chose another protocol than HTTP/1.1 (ALPN)';
  return certificateOf(socket.getPeerX509Certificate()?.raw);
}

/** Returns a certificate, or why it is not accepted. Its chain is verified elsewhere. */
export function certificateOf(bytes: Uint8Array | undefined): Certificate | string {
  if (bytes === undefined) return 'there is no certificate';
  const certificate = readCertificate(bytes);
  return typeof certificate === 'string' ? `the certificate is not valid: ${certificate}` : certificate;
}
