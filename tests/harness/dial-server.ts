import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { Management } from '@kata-agent/protocol/management';
import { Relay } from '@kata-agent/protocol/relay';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import type { ClientCertificate } from './authority.js';

/** An agent that has dialled the server. */
export interface DialledIn {
  readonly socket: TLSSocket;
  readonly channel: Channel;
  readonly agent: Client<typeof AgentService>;
  readonly health: Client<typeof Health>;
  readonly management: Client<typeof Management>;
  readonly relay: Client<typeof Relay>;
}

/** The answer that accepts a connection, written out: it is part of the interface. */
export const accepted =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: kata-agent-ttrpc/1\r\nConnection: Upgrade\r\n\r\n';

/** The answer that accepts a connection for an operator. */
const acceptedRelay =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: kata-agent-relay/1\r\nConnection: Upgrade\r\n\r\n';

/** A server that an `https://` listener dials. */
export class DialServer {
  readonly port: number;
  /** The requests, as `GET /guests kata-agent-ttrpc/1 realm.example`. */
  readonly requests: string[] = [];
  /** The bytes received after a request: of ttRPC. */
  received = 0;
  /** The values of Kata-Agent-Relay, of connections that are to be ttRPC. */
  readonly relays: string[] = [];
  /** Written to each request; null: no answer. */
  answer: string | null = accepted;
  /** Written to each request for the connection of an operator that is expected; null: no answer. */
  relayAnswer: string | null = acceptedRelay;
  /** Whether connections of operators are corked before the answer: it is then sent with what follows. */
  corksRelayed = false;
  /** The tokens of connections that are expected. */
  readonly #expected = new Map<string, (socket: TLSSocket) => void>();
  /** Answers requests that are not an Upgrade. */
  onRequest: RequestListener = (_request, response) => void response.writeHead(404).end();
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #agents: DialledIn[] = [];
  readonly #waiting: ((agent: DialledIn) => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket: Duplex) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('request', (request, response) => this.onRequest(request, response));
    server.on('upgrade', ({ method, url, headers }, stream, head) => {
      this.requests.push(`${method} ${url} ${headers.upgrade} ${headers.host}`);
      const socket = stream as TLSSocket;
      socket.on('error', () => undefined);
      socket.setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      const token = headers['kata-agent-connection'];
      if (headers.upgrade === 'kata-agent-relay/1') {
        this.#relay(socket, String(token));
        return;
      }
      this.relays.push(String(headers['kata-agent-relay']));
      if (this.answer === null) return;
      socket.write(this.answer, 'latin1');
      if (this.answer === accepted) this.#join(socket);
      else socket.on('data', (bytes: Buffer) => (this.received += bytes.length));
    });
  }

  /** Listens on 127.0.0.1. */
  static async start({ cert, key }: Pick<ClientCertificate, 'cert' | 'key'>, port = 0): Promise<DialServer> {
    const server = createServer({
      cert,
      key,
      minVersion: 'TLSv1.3',
      requestCert: true,
      // The agent's certificate is believed by its pin.
      rejectUnauthorized: false,
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new DialServer(server);
  }

  /** Resolves with the next agent that dials. */
  next(): Promise<DialledIn> {
    const agent = this.#agents.shift();
    return agent === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(agent);
  }

  /** Resolves with the connection that the agent makes with this token. */
  expect(token: Uint8Array): Promise<TLSSocket> {
    return new Promise((resolve) => this.#expected.set(Buffer.from(token).toString('hex'), resolve));
  }

  /** The number of open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Closes all connections, and accepts no more. */
  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #relay(socket: TLSSocket, token: string): void {
    const resolve = this.#expected.get(token);
    if (resolve === undefined) {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    if (this.relayAnswer === null) return;
    this.#expected.delete(token);
    if (this.corksRelayed) socket.cork();
    socket.write(this.relayAnswer, 'latin1');
    resolve(socket);
  }

  #join(socket: TLSSocket): void {
    const channel = connect(socket);
    const agent = {
      socket,
      channel,
      agent: createClient(AgentService, channel),
      health: createClient(Health, channel),
      management: createClient(Management, channel),
      relay: createClient(Relay, channel),
    };
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#agents.push(agent);
    else waiting(agent);
  }
}
