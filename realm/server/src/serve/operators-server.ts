import { subjectWord } from '@kata-agent/x509';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { callAtEnd, Slots } from '@kata-agent/connection-limits';
import type { Authorization } from '../authorization/guest-acceptance.js';
import type { Operator } from '../authorization/operator-rights.js';
import { type OperatorCa, operatorFault } from '../listener/operator-chain.js';
import { type Bounds, dropTexts } from '../listener/connection-bounds.js';
import { operatorHttpOptions, operatorTlsOptions, type ServerIdentity } from '../listener/https-options.js';
import { type HostPort, listen } from '../listener/listen.js';
import { peerOf, TlsAcceptor } from '../listener/tls-acceptor.js';
import { HttpError, refuseUpgrade, sendError } from '../http/http-answers.js';
import type { OperatorHandler } from '../operators/operator-service.js';

export interface OperatorsServerOptions {
  readonly identity: ServerIdentity;
  /** Returns the CAs and revocation lists that count now. */
  readonly operatorCa: () => OperatorCa;
  readonly bounds: Bounds;
  /** Called with each connection of an operator. */
  readonly onAccept: (socket: Socket) => void;
  /** Returns the authorization that counts now. */
  readonly authorization: () => Authorization;
  readonly service: OperatorHandler;
  /** Called with each request of an operator. */
  readonly onRequest: () => void;
  /** A connection or request was refused. `peer`: the operator if it is known, otherwise the remote address. */
  readonly onRefusal: (
    peer: string,
    why: string,
    reason: 'certificate' | 'authorization' | 'request',
  ) => void;
  /** Called with the change of the number of open connections. */
  readonly onConnections: (change: 1 | -1) => void;
}

const drains = new HttpError(503, 'draining', 'the realm ends: connect again');

/** Connections of one operator: those to guests, readers of logs, and requests. Otherwise one could take all places. */
const connectionsPerOperator = 128;

interface Live {
  readonly socket: TLSSocket;
  readonly source: () => Operator | undefined;
  /** A request is being answered, or the connection was upgraded. */
  isBusy: boolean;
}

/** The listener of operators: HTTPS with client certificates. */
export class OperatorsServer {
  readonly #options: OperatorsServerOptions;
  readonly #server: Server;
  readonly #acceptor: TlsAcceptor;
  readonly #live = new Map<TLSSocket, Live>();
  readonly #slots = new Slots(connectionsPerOperator);
  /** Requests that are answered, and connections that were upgraded. */
  #busy = 0;
  #draining = false;
  #onIdle: () => void = () => undefined;

  constructor(options: OperatorsServerOptions) {
    this.#options = options;
    const { identity, operatorCa, bounds, onAccept, onRefusal } = options;
    const server = createServer(operatorHttpOptions(bounds.pendingMs));
    this.#server = server;
    // HTTP is given each connection once its client is authenticated. The server itself listens, for its timeouts.
    const serveHttp = server.listeners('connection');
    this.#acceptor = new TlsAcceptor({
      bounds,
      tls: operatorTlsOptions(identity, operatorCa(), bounds.pendingMs),
      client: 'verified',
      onDrop: (from, why) => onRefusal(from, dropTexts[why], 'request'),
      onAccept,
      onSecure: (stream, from) => {
        if (this.#authenticate(stream, from)) for (const serve of serveHttp) serve.call(server, stream);
      },
      onFailure: (stream, error, from) => {
        const verification: unknown = stream.authorizationError;
        const why = typeof verification === 'string' ? verification : (error.code ?? 'unknown error');
        onRefusal(from, `the handshake failed: ${why}`, 'certificate');
      },
    });
    server.removeAllListeners('connection').on('connection', (socket: Socket) => this.#acceptor.add(socket));
    server.on('clientError', (_error, socket) => socket.destroy());
    server.on('request', (request, response) => {
      const live = this.#live.get(request.socket as TLSSocket);
      if (live === undefined || this.#draining) {
        sendError(response, drains);
        return;
      }
      if (!this.#begin(live)) return;
      response.once('close', () => {
        live.isBusy = false;
        this.#end();
      });
      void options.service.request(request, response, live.source);
    });
    server.on('upgrade', (request: IncomingMessage, socket, head: Buffer) => {
      const live = this.#live.get(socket as TLSSocket);
      socket.on('error', () => undefined);
      if (live === undefined || this.#draining) {
        refuseUpgrade(socket, drains);
        return;
      }
      if (!this.#begin(live)) return;
      socket.once('close', () => this.#end());
      void options.service.upgrade(request, socket, head, live.source);
    });
  }

  /** Resolves with the port. */
  listen(address: HostPort): Promise<number> {
    return listen(this.#server, address);
  }

  /** For connections from now on. Throws if a key or certificate is not valid. */
  replaceSecrets(identity: ServerIdentity, operatorCa: OperatorCa): void {
    this.#acceptor.replace(operatorTlsOptions(identity, operatorCa, this.#options.bounds.pendingMs));
  }

  /** Closes the connections of operators that no entry names any more. Returns their number. */
  recheck(): number {
    let closed = 0;
    for (const { socket, source } of this.#live.values()) {
      if (source() !== undefined) continue;
      closed += 1;
      socket.destroy();
    }
    return closed;
  }

  /**
   * Accepts no more connections and requests. Resolves with true when those under way have ended, or with false when the
   * signal aborts before.
   */
  drain(signal: AbortSignal): Promise<boolean> {
    this.#draining = true;
    this.#server.close();
    this.#server.closeIdleConnections();
    this.#acceptor.destroy('pending');
    return new Promise((resolve) => {
      if (this.#busy === 0) return resolve(true);
      if (signal.aborted) return resolve(false);
      const late = (): void => resolve(false);
      signal.addEventListener('abort', late, { once: true });
      this.#onIdle = () => {
        signal.removeEventListener('abort', late);
        resolve(true);
      };
    });
  }

  /** Closes all connections. */
  close(): void {
    this.#server.close();
    this.#acceptor.destroy('all');
  }

  /** Returns whether the client is an operator's; otherwise its connection is closed. */
  #authenticate(socket: TLSSocket, from: string): boolean {
    const { authorization, operatorCa, onRefusal } = this.#options;
    const certificate = peerOf(socket);
    const now = Date.now();
    const refuse = (why: string): false => {
      onRefusal(from, why, 'certificate');
      socket.destroy();
      return false;
    };
    if (typeof certificate === 'string') return refuse(certificate);
    const fault = operatorFault(certificate, now);
    if (fault !== undefined) return refuse(fault);
    const source = (): Operator | undefined =>
      operatorCa().revokes(certificate) ? undefined : authorization().operator(certificate);
    const operator = source();
    const release = operator === undefined ? undefined : this.#slots.take(operator.name);
    if (operator !== undefined && release === undefined) {
      onRefusal(operator.name, `the operator has ${connectionsPerOperator} connections`, 'request');
      socket.destroy();
      return false;
    }
    this.#live.set(socket, { socket, source, isBusy: false });
    this.#options.onConnections(1);
    const expiry = callAtEnd(certificate.notAfter - now, () => socket.destroy());
    socket.once('close', () => {
      expiry();
      release?.();
      this.#live.delete(socket);
      this.#options.onConnections(-1);
    });
    if (operator !== undefined) {
      this.#acceptor.accept(socket);
      return true;
    }
    // It learns that from the answer to its request, and has no more time than a handshake has.
    const peer = `tls sha256:${certificate.fingerprint} ${subjectWord(certificate.subjectText)}`;
    onRefusal(peer, 'no [[operator]] entry names the certificate', 'authorization');
    return true;
  }

  /**
   * Counts a request. False: it came before the answer to the one before, and the connection was closed. Node.js would have both
   * answered at once, and would not say when the second one's client is gone.
   */
  #begin(live: Live): boolean {
    if (live.isBusy) {
      this.#options.onRefusal(
        live.source()?.name ?? this.#acceptor.from(live.socket),
        'a request came before the answer to the one before',
        'request',
      );
      live.socket.destroy();
      return false;
    }
    live.isBusy = true;
    this.#options.onRequest();
    this.#busy += 1;
    return true;
  }

  #end(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#onIdle();
  }
}
