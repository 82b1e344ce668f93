import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import {
  addCheckpointAnswer,
  decideAddCheckpoint,
  type HttpAnswer,
  type LogVerifier,
  parseAddCheckpoint,
  TextFormError,
  type TreeHead,
  WitnessSigner,
} from '@kata-agent/tlog';
import type { ClientCertificate } from './authority.js';

/** What a witness does instead of its honest answer, which it is given. */
export type Misbehaviour = (
  response: ServerResponse,
  honest: () => HttpAnswer,
  socket: Socket,
  body: Buffer,
) => void;

/** A request of an agent. */
interface Asked {
  readonly path: string;
  readonly origin: string;
  readonly oldSize: number;
  readonly size: number;
  readonly status: number;
  /** Whether the client has shown a certificate. */
  readonly hasCertificate: boolean;
}

/** A witness of C2SP tlog-witness. It forgets everything with the test. */
export class TestWitness {
  readonly signer: WitnessSigner;
  readonly asked: Asked[] = [];
  /** The trees that were cosigned last, by origin. */
  readonly latest: Map<string, TreeHead> = new Map();
  /** Undefined: it is honest. */
  misbehaves: Misbehaviour | undefined;
  readonly #keys = new Map<string, LogVerifier>();

  constructor(name = 'witness.example/w1') {
    this.signer = new WitnessSigner(name, generateKeyPairSync('ed25519').privateKey);
  }

  get key(): string {
    return this.signer.verifier.toString();
  }

  enrol(log: LogVerifier): void {
    this.#keys.set(log.name, log);
  }

  /** Answers a request of HTTP. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const honest = (): HttpAnswer => this.#decide(request, body);
    if (this.misbehaves !== undefined) {
      this.misbehaves(response, honest, request.socket, body);
      return;
    }
    const answer = honest();
    response.writeHead(answer.status, { 'Content-Type': answer.contentType }).end(answer.body);
  }

  #decide(request: IncomingMessage, body: Uint8Array): HttpAnswer {
    try {
      const parsed = parseAddCheckpoint(body);
      const { origin, head } = parsed.checkpoint;
      const key = this.#keys.get(origin);
      const log = key === undefined ? undefined : { keys: [key], latest: this.latest.get(origin) };
      const now = Math.floor(Date.now() / 1_000);
      const decision = decideAddCheckpoint(parsed, log, { signer: this.signer, now });
      if (decision.status === 200) this.latest.set(origin, decision.latest);
      this.asked.push({
        path: `${request.method} ${request.url}`,
        origin,
        oldSize: parsed.oldSize,
        size: head.size,
        status: decision.status,
        hasCertificate: (request.socket as TLSSocket).getPeerX509Certificate() !== undefined,
      });
      return addCheckpointAnswer(decision);
    } catch (error) {
      if (!(error instanceof TextFormError)) throw error;
      return { status: 400, contentType: 'text/plain; charset=utf-8', body: error.message };
    }
  }
}

/** A server over TLS with a witness. */
export class WitnessServer {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Listens on 127.0.0.1. */
  static async start(
    witness: TestWitness,
    { cert, key }: Pick<ClientCertificate, 'cert' | 'key'>,
    port = 0,
  ): Promise<WitnessServer> {
    const server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.on('request', (request, response) => {
      request.socket.on('error', () => undefined);
      void witness.handle(request, response).catch(() => request.socket.destroy());
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new WitnessServer(server);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}
