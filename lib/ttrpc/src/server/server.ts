import type { Duplex } from 'node:stream';
import { reporter, type Fault } from '../fault.js';
import { FrameMemory } from '../frame/frame-memory.js';
import { FairTurns } from '../frame/fair-turns.js';
import type { Admit, ServerInterceptor } from '../interceptor.js';
import { completeLimits, type Limits } from '../limits.js';
import { buildMethodTable, type ServiceRegistration } from './service.js';
import { ServerConnection, type Connection, type ServerSettings } from './server-connection.js';

/**
 * C is the type of the owner's value for a connection, such as its listener or peer. It is part of every context and
 * fault.
 */
export interface ServerOptions<C> {
  readonly services: readonly ServiceRegistration<C>[];
  /** Called before the payload is scanned and decoded. */
  readonly admit?: Admit<C>;
  /** Run between decoding and handler; the first is the outermost. */
  readonly interceptors?: readonly ServerInterceptor<C>[];
  readonly limits?: Partial<Limits>;
  /**
   * Returns the group of a connection, such as its listener; by default all are one. A group with many busy connections
   * does not delay another.
   */
  readonly groupOf?: (connection: C) => unknown;
  /** For logging: protocol violations and errors thrown by handlers. */
  readonly onFault?: (fault: Fault<C>) => void;
}

export interface Server<C> {
  /** Serves a stream until it closes. After `shutdown` or `close` the stream is destroyed at once. */
  serve(stream: Duplex, connection: C): Connection;
  /** Rejects new calls with UNAVAILABLE and waits for those in flight; resolves when all connections have closed. */
  shutdown(): Promise<void>;
  /** Closes all connections at once and aborts the signals of their calls. */
  close(): void;
  readonly connections: number;
}

/** Creates a server. Throws when a service is registered twice or a limit is out of bounds. */
export function createServer<C = unknown>(options: ServerOptions<C>): Server<C> {
  return new TtrpcServer({
    methods: buildMethodTable(options.services),
    limits: completeLimits(options.limits),
    admit: options.admit,
    interceptors: options.interceptors ?? [],
    report: reporter(options.onFault),
    turns: new FairTurns(),
    memory: new FrameMemory(),
    groupOf: options.groupOf ?? (() => undefined),
  });
}

class TtrpcServer<C> implements Server<C> {
  readonly #settings: ServerSettings<C>;
  readonly #connections = new Set<ServerConnection<C>>();
  #stopping = false;

  constructor(settings: ServerSettings<C>) {
    this.#settings = settings;
  }

  get connections(): number {
    return this.#connections.size;
  }

  serve(stream: Duplex, connection: C): Connection {
    const served = new ServerConnection(stream, connection, this.#settings);
    this.#connections.add(served);
    void served.closed.then(() => this.#connections.delete(served));
    if (this.#stopping) served.close();
    return served;
  }

  async shutdown(): Promise<void> {
    this.#stopping = true;
    const connections = [...this.#connections];
    for (const connection of connections) connection.drain();
    await Promise.all(connections.map(({ closed }) => closed));
  }

  close(): void {
    this.#stopping = true;
    for (const connection of this.#connections) connection.close();
  }
}
