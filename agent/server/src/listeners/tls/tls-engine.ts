import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TlsOptions, TLSSocket } from 'node:tls';
import {
  addressGroup,
  callAtEnd,
  HandshakeServers,
  type MeasuredStream,
  PreAuthLimiter,
  type PreAuthOptions,
} from '@kata-agent/connection-limits';
import type { Certificate, PeerEntry } from '@kata-agent/x509';
import {
  alpnProtocol,
  authenticate,
  handshakeCause,
  type RefusalCause,
  refusalCause,
  type TlsRefusal,
} from './authenticate.js';
import { readCas, readClientCrls } from './client-ca.js';
import { type Candidate, type HandshakeLimits, Handshakes } from './handshakes.js';
import { identityOf, type OwnIdentity, type TlsIdentity } from './tls-identity.js';
import { type Revocations, revokes } from './revocations.js';

const ofLoopback = addressGroup('::1');

/** An authenticated client. */
export interface TlsPeer {
  /** For rules. */
  readonly identity: TlsIdentity;
  readonly certificate: Certificate;
  /** The remote address. The client chooses its port, which carries no information. */
  readonly remote: string;
}

export interface TlsEngineOptions extends Pick<PreAuthOptions, 'costlyMs' | 'turns'> {
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

/** Connections of one group count as those of one client. */
interface ConnectionGroup {
  readonly name: string;
  /** In records. */
  readonly remote: string;
  /** Several clients share it, and are not distinguished before their handshakes: none is penalized for another. */
  readonly isShared: boolean;
}

/** Authenticates the TLS connections of one listener. */
export interface TlsEngine {
  /**
   * Takes over a connection: an accepted TCP connection, whose server has `pauseOnConnect`, or a TLS connection whose bytes are
   * those of another TLS connection. Nothing of it has been read, or it was unshifted.
   *
   * @param group absent: that of the remote address.
   */
  accept(socket: Socket, group?: ConnectionGroup): void;
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
  readonly group: ConnectionGroup;
  readonly address: string;
  /** Bytes that the socket had received before: the answer to an Upgrade. */
  readonly receivedBefore: number;
  /** Absent: TLS reads the socket itself, or nothing yet. */
  stream?: MeasuredStream;
  /** Why the engine closes it, if it does. */
  cause?: RefusalCause;
}

interface Live {
  readonly stream: TLSSocket;
  readonly peer: TlsPeer;
}

class Engine implements TlsEngine {
  readonly #options: TlsEngineOptions;
  readonly #servers: HandshakeServers;
  readonly #handshakes: Handshakes;
  readonly #preAuth: PreAuthLimiter;
  readonly #pending = new Map<Socket, Pending>();
  readonly #live = new Set<Live>();
  #closed = false;

  constructor(options: TlsEngineOptions) {
    this.#options = options;
    this.#preAuth = new PreAuthLimiter(options);
    this.#handshakes = new Handshakes(options.limits);
    this.#servers = new HandshakeServers(serverOptions(options));
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

  accept(socket: Socket, given?: ConnectionGroup): void {
    // Without an address the client has gone already.
    if (this.#closed || socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    // Otherwise a client that closes its end during the handshake keeps its place until the timeout.
    socket.allowHalfOpen = false;
    const group = given ?? addressGroupOf(socket.remoteAddress);
    const pending: Pending = {
      address: socket.remoteAddress,
      group,
      receivedBefore: socket.bytesRead - socket.readableLength,
      candidate: {
        group: group.name,
        begin: () => this.#begin(socket, pending),
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

  #begin(socket: Socket, pending: Pending): void {
    const { candidate } = pending;
    const stream = this.#preAuth.begin(candidate.group, socket, () => candidate.drop('oversized'));
    if (stream !== undefined) pending.stream = stream;
    // TLS below writes whole flights.
    socket.setNoDelay(true);
    this.#servers.begin(stream ?? socket, {
      secure: (stream) => this.#decide(socket, pending, stream),
      failed: (error, stream) => {
        // Node.js leaves the socket open: also after its own handshakeTimeout.
        stream.destroy();
        this.#refuse(socket, pending, handshakeCause(error, stream.authorizationError));
      },
    });
  }

  #decide(socket: Socket, pending: Pending, stream: TLSSocket): void {
    stream.on('error', ignored);
    if (!this.#pending.has(socket) || pending.cause !== undefined || this.#closed) {
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
      this.#refuse(socket, pending, result.refused, result.certificate);
      return;
    }
    this.#pending.delete(socket);
    this.#handshakes.remove(pending.candidate);
    pending.stream?.release();
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

  /** Frees the connection's place, and reports a refusal, once for each connection. */
  #refuse(socket: Socket, pending: Pending, cause: RefusalCause, certificate?: Certificate): void {
    if (!this.#pending.delete(socket)) return;
    this.#forget(socket, pending);
    this.#report(pending, cause, certificate);
  }

  /** Frees the place of a connection that is refused or has closed. */
  #forget(socket: Socket, { candidate, group, stream, receivedBefore }: Pending): void {
    const received = socket.bytesRead - receivedBefore;
    const isCostly = this.#preAuth.refused(candidate.group, received, stream);
    this.#handshakes.remove(candidate, isCostly && !group.isShared);
  }

  /** Node.js reports a handshake's failure after, before, or instead of the end of its socket. */
  #closedEarly(socket: Socket, pending: Pending): void {
    if (!this.#pending.has(socket)) return;
    this.#forget(socket, pending);
    setImmediate(() => {
      if (this.#pending.delete(socket)) this.#report(pending, refusalCause('closed'));
    });
  }

  #report({ group, cause: own }: Pending, cause: RefusalCause, certificate?: Certificate): void {
    if (this.#closed) return;
    const { reason, text } = own ?? cause;
    const peer =
      certificate === undefined
        ? {}
        : { peer: { subject: certificate.subjectText, fingerprint: `sha256:${certificate.fingerprint}` } };
    this.#options.onRefusal({ reason, text, remote: group.remote, ...peer });
  }
}

function addressGroupOf(address: string): ConnectionGroup {
  const name = clientGroup(address);
  return { name, remote: name, isShared: false };
}

function serverOptions({ clientCa, clientCrl = [], own, limits }: TlsEngineOptions): TlsOptions {
  return {
    key: own.key,
    cert: own.certificate,
    ca: [...readCas('client_ca', clientCa)],
    ...(clientCrl.length === 0 ? {} : { crl: [...readClientCrls(clientCrl)] }),
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
}

/** Errors of a connection are followed by its close, which is handled. */
function ignored(): void {
  // Nothing to do.
}

/** Returns the group of a client's address. Containers choose their addresses freely on loopback: it is one group. */
export function clientGroup(address: string): string {
  const group = addressGroup(address);
  return group === ofLoopback || group.startsWith('127.') ? 'loopback' : group;
}
