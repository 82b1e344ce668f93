import { createServer, type IncomingMessage, STATUS_CODES } from 'node:http';
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Bus } from '../bus/bus.js';
import { type Bounds, dropTexts } from '../listener/connection-bounds.js';
import { guestTlsOptions, httpOptions, type ServerIdentity } from '../listener/https-options.js';
import { type HostPort, listen } from '../listener/listen.js';
import { peerOf, TlsAcceptor } from '../listener/tls-acceptor.js';
import type { Relay } from '../guest.js';
import type { Rendezvous } from './rendezvous.js';
import { isWitnessRequest, type WitnessRequests } from './witness-requests.js';

/** How long a client that is refused may take to read the answer. */
const patienceMs = 2_000;

/** The protocol of a control connection: ttRPC, of which the guest is the server. */
const controlProtocol = 'kata-agent-ttrpc/1';

/** The protocol of a connection for one operator: TLS, of which the guest is the server. */
const relayProtocol = 'kata-agent-relay/1';

/** A connection that a guest has opened for calls. The guest is not accepted yet. */
export interface ControlConnection {
  /** SHA-256 of the guest's key, which the handshake has proven; 64 hex digits. */
  readonly id: string;
  readonly relay: Relay;
  readonly socket: Duplex;
  /** The remote address; of IPv6 its /64. */
  readonly from: string;
  /** Returns the exporter of the TLS connection (RFC 9266), in hex. */
  readonly exporter: () => string;
  /** Called when the guest is accepted: its connection no longer counts as pending. */
  readonly accepted: () => void;
}

export interface GuestsServerOptions {
  readonly identity: ServerIdentity;
  readonly bounds: Bounds;
  /** Called with each connection of an accepted guest. */
  readonly onAccept: (socket: Socket) => void;
  readonly rendezvous: Rendezvous;
  /** Asks other replicas who waits for a guest's connection. Never rejects. */
  readonly findElsewhere: Bus['findToken'];
  readonly onControl: (connection: ControlConnection) => void;
  readonly witness: Pick<WitnessRequests, 'serve'>;
  /** A connection was closed before it was one of a guest. `from`: the remote address, of IPv6 its /64. */
  readonly onRefusal: (from: string, why: string) => void;
}

/**
 * The listener that guests dial. Their certificates are their own: a key is all that they prove, and who has it is decided
 * later.
 */
export class GuestsServer {
  readonly #options: GuestsServerOptions;
  readonly #server: TcpServer;
  readonly #acceptor: TlsAcceptor;
  readonly #ids = new WeakMap<Duplex, string>();

  constructor(options: GuestsServerOptions) {
    this.#options = options;
    const { identity, bounds, onAccept } = options;
    // Its own timeouts would need a server that listens: a client that is not accepted in time loses its connection.
    const server = createServer(httpOptions(bounds.pendingMs));
    this.#acceptor = new TlsAcceptor({
      bounds,
      tls: guestTlsOptions(identity, bounds.pendingMs),
      client: 'any',
      onDrop: (from, why) => this.#refuse(from, dropTexts[why]),
      onAccept,
      onSecure: (stream) => {
        const peer = peerOf(stream);
        if (typeof peer === 'string') return this.#refuseSocket(stream, peer);
        this.#ids.set(stream, peer.spki);
        server.emit('connection', stream);
      },
      onFailure: (_stream, error, from) =>
        this.#refuse(from, `the handshake failed: ${error.code ?? 'unknown error'}`),
    });
    this.#server = createTcpServer({ pauseOnConnect: true, noDelay: true }, (socket) =>
      this.#acceptor.add(socket),
    );
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      this.#refuseSocket(socket as TLSSocket, `the request is not HTTP: ${error.code ?? 'unknown error'}`);
    });
    server.on('request', (request, response) => {
      const id = this.#ids.get(request.socket);
      if (id !== undefined && isWitnessRequest(request)) {
        void options.witness.serve(id, request, response);
        return;
      }
      response.writeHead(426, { Connection: 'close', Upgrade: controlProtocol }).end();
      this.#report(request.socket as TLSSocket, 'a request without Upgrade');
    });
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Resolves with the port. */
  listen(address: HostPort): Promise<number> {
    return listen(this.#server, address);
  }

  /** For connections from now on. Throws if the certificate or key is not valid. */
  replaceIdentity(identity: ServerIdentity): void {
    this.#acceptor.replace(guestTlsOptions(identity, this.#options.bounds.pendingMs));
  }

  /** Accepts no more connections, and closes those that are not of a guest yet. */
  stop(): void {
    this.#server.close();
    this.#acceptor.destroy('pending');
  }

  /** Closes all connections. */
  close(): void {
    this.stop();
    this.#acceptor.destroy('all');
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const id = this.#ids.get(socket);
    const from = this.#acceptor.from(socket);
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
    this.#options.onControl({
      id,
      relay,
      socket,
      from,
      exporter: () =>
        (socket as TLSSocket)
          .exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
          .toString('hex'),
      accepted: () => this.#accept(socket),
    });
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
    this.#acceptor.accept(socket as TLSSocket);
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
    this.#refuse(this.#acceptor.from(socket), why);
  }

  #refuse(from: string, why: string): void {
    this.#options.onRefusal(from, why);
  }
}

/** What a guest asks for by HTTP Upgrade, or the status that refuses it. */
type UpgradeRequest =
  | { readonly kind: 'control'; readonly relay: Relay }
  /** 64 hex digits. */
  | { readonly kind: 'relay'; readonly token: string }
  | { readonly kind: 'refused'; readonly status: number; readonly why: string };

/** Parses the head of a request. */
function upgradeRequest({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): UpgradeRequest {
  if (method !== 'GET') return refused(405, 'the method is not GET');
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined)
    return refused(400, 'the request has a body');
  if (headers.upgrade === controlProtocol) {
    const relay = headers['kata-agent-relay'];
    if (relay === 'operator-tls' || relay === 'trusted') return { kind: 'control', relay };
    return refused(400, 'Kata-Agent-Relay is neither operator-tls nor trusted');
  }
  if (headers.upgrade !== relayProtocol) return refused(400, 'Upgrade names another protocol');
  const token = headers['kata-agent-connection'];
  if (typeof token !== 'string' || !/^[0-9a-f]{64}$/.test(token))
    return refused(404, 'Kata-Agent-Connection has no token of this realm');
  return { kind: 'relay', token };
}

function refused(status: number, why: string): UpgradeRequest {
  return { kind: 'refused', status, why };
}

/** Refuses an Upgrade with a status, and closes the connection. */
function refuseUpgrade(socket: Duplex, status: number): void {
  socket.on('error', () => undefined);
  const reason = STATUS_CODES[status] ?? '';
  const head = `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
  socket.end(head, () => socket.destroy());
  setTimeout(() => socket.destroy(), patienceMs).unref();
}

/** Accepts an Upgrade. What has arrived with the request remains to be read. */
function acceptUpgrade(socket: Duplex, protocol: string, head: Uint8Array): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${protocol}\r\nConnection: Upgrade\r\n\r\n`,
    'latin1',
  );
  if (head.length > 0) socket.unshift(head);
}
