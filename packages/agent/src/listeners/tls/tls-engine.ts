import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TlsOptions, type TLSSocket } from 'node:tls';
import type { Certificate, PeerEntry } from '@kata-agent/x509';
import { addressGroup } from './address-group.js';
import { alpnProtocol, authenticate } from './authenticate.js';
import { callAtEnd } from './call-at-end.js';
import { readCas, readClientCrls } from './client-ca.js';
import { type Candidate, type HandshakeLimits, Handshakes } from './handshakes.js';
import type { OwnIdentity } from './own-identity.js';
import { type Revocations, revokes } from './revocations.js';
import { identityOf, type TlsIdentity } from './tls-identity.js';
import { handshakeCause, type RefusalCause, refusalCause, type TlsRefusal } from './tls-refusal.js';

/** An authenticated client. */
export interface TlsPeer {
  /** For rules. */
  readonly identity: TlsIdentity;
  readonly certificate: Certificate;
  /** The remote address. The client chooses its port, which carries no information. */
  readonly remote: string;
}

export interface TlsEngineOptions {
  /** PEM texts with the certificates of CAs. */
  readonly clientCa: readonly string[];
  /** PEM texts with certificate revocation lists; each CA needs one, if there are any. */
  readonly clientCrl?: readonly string[];
  readonly own: Pick<OwnIdentity, 'key' | 'certificate'>;
  /** The `peers` of each document that has them: a client must match all lists. */
  readonly peers: readonly (readonly PeerEntry[])[];
  readonly revocations: Revocations;
  readonly limits: HandshakeLimits;
  /** Returns the wall time in milliseconds of the epoch. It is read at connect only. */
  readonly now: () => number;
  /** Serves a client. Until this call no byte of the client has been read but its handshake. */
  readonly onPeer: (stream: TLSSocket, peer: TlsPeer) => void;
  readonly onRefusal: (refusal: TlsRefusal) => void;
  /** Is called before the engine ends a connection that was served. */
  readonly onEnd: (peer: TlsPeer, why: 'expired' | 'revoked') => void;
}

/** Authenticates the TLS connections of one listener. */
export interface TlsEngine {
  /**
   * Takes over a connection: an accepted TCP connection, whose server has `pauseOnConnect`, or a TLS connection whose bytes are
   * those of another TLS connection. Nothing of it has been read, or it was put back.
   *
   * @param group Connections of one group count as those of one client; absent: that of the remote address.
   */
  accept(socket: Socket, group?: string): void;
  /** Closes what is not yet authenticated, and accepts no more. Authenticated connections stay. */
  close(): void;
  /** Handshakes under way, connections that wait for one, and authenticated connections. */
  readonly counts: { readonly handshakes: number; readonly waiting: number; readonly peers: number };
}

/** Creates an engine. Throws a TlsSettingError if `clientCa` or `clientCrl` is not valid. */
export function createTlsEngine(options: TlsEngineOptions): TlsEngine {
  return new Engine(options);
}

/** A connection that is not yet authenticated. */
interface Pending {
  readonly candidate: Candidate;
  readonly address: string;
  /** What the socket had received before: the answer to an Upgrade. */
  readonly receivedBefore: number;
  /** Why the engine closes it, if it does. */
  cause?: RefusalCause;
}

interface Live {
  readonly stream: TLSSocket;
  readonly peer: TlsPeer;
}

class Engine implements TlsEngine {
  readonly #options: TlsEngineOptions;
  readonly #server: Server;
  readonly #handshakes: Handshakes;
  readonly #pending = new Map<Socket, Pending>();
  readonly #live = new Set<Live>();
  #closed = false;

  constructor(options: TlsEngineOptions) {
    this.#options = options;
    this.#handshakes = new Handshakes(options.limits);
    this.#server = createTlsServer(options);
    this.#server.on('secureConnection', (stream) => this.#decide(stream));
    this.#server.on('tlsClientError', (error, stream) => {
      // Node.js leaves the socket open: also after its own handshakeTimeout.
      stream.destroy();
      this.#refuse(stream, handshakeCause(error, stream.authorizationError));
    });
    options.revocations.watch((revocation) => {
      const revoked = [...this.#live].filter(({ peer }) => revokes(revocation, peer.certificate));
      for (const live of revoked) this.#end(live, 'revoked');
      return revoked.length;
    });
  }

  get counts(): TlsEngine['counts'] {
    const { active, waiting } = this.#handshakes;
    return { handshakes: active, waiting, peers: this.#live.size };
  }

  accept(socket: Socket, group?: string): void {
    // Without an address the client has gone already.
    if (this.#closed || socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    // Otherwise a client that closes its end during the handshake keeps its place until the timeout.
    socket.allowHalfOpen = false;
    const pending: Pending = {
      address: socket.remoteAddress,
      receivedBefore: socket.bytesRead - socket.readableLength,
      candidate: {
        group: group ?? addressGroup(socket.remoteAddress),
        begin: () => this.#server.emit('connection', socket),
        drop: (reason) => {
          pending.cause = refusalCause(reason);
          socket.destroy();
        },
      },
    };
    this.#pending.set(socket, pending);
    socket.on('error', ignored);
    socket.once('close', () => this.#closedEarly(socket, pending));
    this.#handshakes.add(pending.candidate);
  }

  close(): void {
    this.#closed = true;
    for (const [socket] of this.#pending) socket.destroy();
  }

  #decide(stream: TLSSocket): void {
    const socket = parentOf(stream);
    const pending = socket === undefined ? undefined : this.#pending.get(socket);
    stream.on('error', ignored);
    if (pending === undefined || pending.cause !== undefined || this.#closed) {
      stream.destroy();
      return;
    }
    const { peers, revocations, now } = this.#options;
    const time = now();
    const result = authenticate(
      {
        alpnProtocol: stream.alpnProtocol,
        resumed: stream.isSessionReused(),
        certificate: stream.getPeerX509Certificate()?.raw,
      },
      { peers, isRevoked: (certificate) => revocations.has(certificate), now: time },
    );
    if (result.refused !== undefined) {
      stream.destroy();
      this.#refuse(stream, result.refused, result.certificate);
      return;
    }
    this.#settled(stream, false);
    this.#serve(
      stream,
      { certificate: result.certificate, remote: pending.address, identity: identityOf(result.certificate) },
      time,
    );
  }

  #serve(stream: TLSSocket, peer: TlsPeer, now: number): void {
    const live: Live = { stream, peer };
    this.#live.add(live);
    const cancel = callAtEnd(peer.certificate.notAfter - now, () => this.#end(live, 'expired'));
    stream.once('close', () => {
      cancel();
      this.#live.delete(live);
    });
    // As on other listeners: a client may end its requests and still get the replies.
    stream.allowHalfOpen = true;
    stream.setNoDelay(true);
    this.#options.onPeer(stream, peer);
  }

  #end(live: Live, why: 'expired' | 'revoked'): void {
    if (!this.#live.delete(live)) return;
    this.#options.onEnd(live.peer, why);
    live.stream.destroy();
  }

  /** Reports a refusal, once for each connection. */
  #refuse(stream: TLSSocket, cause: RefusalCause, certificate?: Certificate): void {
    const pending = this.#settled(stream, true);
    if (pending !== undefined) this.#report(pending, cause, certificate);
  }

  /** Frees the connection's place. Returns undefined if it has been settled before. */
  #settled(stream: TLSSocket, isRefused: boolean): Pending | undefined {
    const socket = parentOf(stream);
    const pending = socket === undefined ? undefined : this.#pending.get(socket);
    if (socket === undefined || pending === undefined) return undefined;
    this.#pending.delete(socket);
    this.#handshakes.remove(pending.candidate, isRefused ? receivedOf(socket, pending) : 0);
    return pending;
  }

  /** Node.js reports a handshake's failure after, before, or instead of the end of its socket. */
  #closedEarly(socket: Socket, pending: Pending): void {
    this.#handshakes.remove(pending.candidate, receivedOf(socket, pending));
    setImmediate(() => {
      if (this.#pending.delete(socket)) this.#report(pending, refusalCause('closed'));
    });
  }

  #report({ candidate, cause: own }: Pending, cause: RefusalCause, certificate?: Certificate): void {
    if (this.#closed) return;
    const { reason, text } = own ?? cause;
    const peer =
      certificate === undefined
        ? {}
        : { peer: { subject: certificate.subjectText, fingerprint: `sha256:${certificate.fingerprint}` } };
    this.#options.onRefusal({ reason, text, remote: candidate.group, ...peer });
  }
}

function createTlsServer({ clientCa, clientCrl = [], own, limits }: TlsEngineOptions): Server {
  const settings: TlsOptions = {
    key: own.key,
    cert: own.certificate,
    ca: [...readCas('client_ca', clientCa)],
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    // Keys of 112 bits and more, also where Node.js is built with less.
    ciphers: 'DEFAULT:@SECLEVEL=2',
    // A ClientHello with a finite-field group, of the default, costs the event loop 100 ms, without a certificate.
    ecdhCurve: 'X25519:P-256:P-384',
    ALPNProtocols: [alpnProtocol],
    handshakeTimeout: limits.handshakeTimeoutMs,
    // With tickets OpenSSL accepts a client without a certificate, as the one that its ticket names.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  return createServer(
    clientCrl.length === 0 ? settings : { ...settings, crl: [...readClientCrls(clientCrl)] },
  );
}

/** Returns the bytes of a client so far. */
function receivedOf(socket: Socket, { receivedBefore }: Pending): number {
  return socket.bytesRead - receivedBefore;
}

/**
 * Returns the socket below a TLS socket. Node.js has no public member for it, and a closed socket no longer has an
 * address by which it could be found. If the member were missing, every connection would be closed.
 */
function parentOf(stream: TLSSocket): Socket | undefined {
  return (stream as TLSSocket & { readonly _parent?: Socket })._parent;
}

/** Errors of a connection are followed by its close, which is handled. */
function ignored(): void {
  // Nothing to do.
}
