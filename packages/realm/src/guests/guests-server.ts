import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { addressGroup } from '@kata-agent/admission';
import type { Bus } from '../bus/bus.js';
import { acceptUpgrade, refuseUpgrade } from '../listener/answer.js';
import { type Bounds, ConnectionBounds, dropTexts } from '../listener/connection-bounds.js';
import { httpsOptions, type ServerIdentity } from '../listener/https-options.js';
import { type HostPort, listen } from '../listener/listen.js';
import { peerOf, tcpSocketOf } from '../listener/tls-peer.js';
import type { Relay } from './guest.js';
import type { Rendezvous } from './rendezvous.js';
import { controlProtocol, relayProtocol, upgradeRequest } from './upgrade-request.js';

/** A connection that a guest has opened for calls. The guest is not admitted yet. */
export interface ControlConnection {
  /** SHA-256 of the guest's key, which the handshake has proven; 64 hex digits. */
  readonly id: string;
  readonly relay: Relay;
  readonly socket: Duplex;
  /** The remote address; of IPv6 its /64. */
  readonly from: string;
  /** Called when the guest is admitted: its connection no longer counts as pending. */
  readonly accepted: () => void;
}

export interface GuestsServerOptions {
  readonly identity: ServerIdentity;
  readonly bounds: Bounds;
  /** Called with each connection of an admitted guest. */
  readonly onAccept: (socket: Socket) => void;
  readonly rendezvous: Rendezvous;
  /** Asks other replicas who waits for a guest's connection. Never rejects. */
  readonly findElsewhere: Bus['findToken'];
  readonly onControl: (connection: ControlConnection) => void;
  /** A connection was closed before it was one of a guest. `from`: the remote address, of IPv6 its /64. */
  readonly onRefusal: (from: string, why: string) => void;
}

/**
 * The listener that guests dial. Their certificates are their own: a key is all that they prove, and who has it is decided
 * later.
 */
export class GuestsServer {
  readonly #options: GuestsServerOptions;
  readonly #server: Server;
  /** Accepts connections. `#server` is given each when its handshake may begin; its own timeouts need a server that listens. */
  readonly #acceptor: TcpServer;
  readonly #bounds: ConnectionBounds;
  readonly #ids = new WeakMap<Duplex, string>();

  constructor(options: GuestsServerOptions) {
    this.#options = options;
    this.#bounds = new ConnectionBounds(
      options.bounds,
      (from, why) => this.#refuse(from, dropTexts[why]),
      options.onAccept,
    );
    const server = createServer({
      ...httpsOptions(options.identity, options.bounds.pendingMs),
      // A guest's certificate is believed by its key alone.
      rejectUnauthorized: false,
      keepAlive: false,
    });
    this.#server = server;
    this.#acceptor = createTcpServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      this.#bounds.add(socket, () => server.emit('connection', socket));
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      this.#bounds.handshaken(socket, false);
      this.#refuseSocket(socket, `the handshake failed: ${error.code ?? 'unknown error'}`);
    });
    server.on('secureConnection', (socket) => this.#identify(socket));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      this.#refuseSocket(socket as TLSSocket, `the request is not HTTP: ${error.code ?? 'unknown error'}`);
    });
    server.on('request', (request, response) => {
      response.writeHead(426, { Connection: 'close', Upgrade: controlProtocol }).end();
      this.#report(request.socket as TLSSocket, 'a request without Upgrade');
    });
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Resolves with the port. */
  listen(address: HostPort): Promise<number> {
    return listen(this.#acceptor, address);
  }

  /** For connections from now on. Throws if the certificate or key is not valid. */
  replaceIdentity(identity: ServerIdentity): void {
    this.#server.setSecureContext(httpsOptions(identity, this.#options.bounds.pendingMs));
  }

  /** Accepts no more connections, and closes those that are not of a guest yet. */
  stop(): void {
    this.#acceptor.close();
    this.#bounds.destroy('pending');
  }

  /** Closes all connections. */
  close(): void {
    this.stop();
    this.#bounds.destroy('all');
  }

  #identify(socket: TLSSocket): void {
    socket.on('error', () => undefined);
    if (!this.#bounds.handshaken(socket, false)) return;
    const peer = peerOf(socket);
    if (typeof peer === 'string') this.#refuseSocket(socket, peer);
    else this.#ids.set(socket, peer.spki);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const id = this.#ids.get(socket);
    const from = this.#from(socket);
    socket.on('error', () => undefined);
    if (id === undefined) {
      socket.destroy();
      return;
    }
    const asked = upgradeRequest(request);
    if (asked.kind === 'refused') return this.#refuseUpgrade(socket, asked.status, asked.why);
    if (asked.kind === 'relay') {
      const arrive = this.#options.rendezvous.take(id, asked.token);
      if (arrive === undefined) void this.#relayElsewhere(id, asked.token, socket, head);
      else this.#relay(arrive, socket, head);
      return;
    }
    acceptUpgrade(socket, controlProtocol, head);
    const { relay } = asked;
    this.#options.onControl({ id, relay, socket, from, accepted: () => this.#accept(socket) });
  }

  async #relayElsewhere(id: string, token: string, socket: Duplex, head: Buffer): Promise<void> {
    const arrive = await this.#options.findElsewhere(id, token);
    if (arrive === undefined)
      this.#refuseUpgrade(socket, 404, 'no connection with this token is expected of this guest');
    else this.#relay(arrive, socket, head);
  }

  #relay(arrive: (socket: Duplex) => void, socket: Duplex, head: Buffer): void {
    acceptUpgrade(socket, relayProtocol, head);
    this.#accept(socket);
    arrive(socket);
  }

  #accept(socket: Duplex): void {
    this.#bounds.accept(socket as TLSSocket);
  }

  #refuseUpgrade(socket: Duplex, status: number, why: string): void {
    this.#report(socket as TLSSocket, why);
    refuseUpgrade(socket, status);
  }

  #refuseSocket(socket: TLSSocket, why: string): void {
    this.#report(socket, why);
    socket.destroy();
  }

  #report(socket: TLSSocket, why: string): void {
    this.#refuse(this.#from(socket), why);
  }

  #refuse(from: string, why: string): void {
    this.#options.onRefusal(from, why);
  }

  #from(socket: Duplex): string {
    const { remoteAddress } = tcpSocketOf(socket as TLSSocket) ?? {};
    return remoteAddress === undefined ? 'unknown' : addressGroup(remoteAddress);
  }
}
