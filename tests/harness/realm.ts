import { once } from 'node:events';
import { createServer as createHttpsServer, type Server } from 'node:https';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { followLines } from '@kata-agent/audit';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import type { OperatorVerb } from '@kata-agent/catalogue';
import { Management } from '@kata-agent/protocol/management';
import {
  type Decision,
  type Guest,
  type GuestLogs,
  type OperatorLimits,
  operatorLimits,
  OperatorService,
  operatorHttpsOptions,
  type Revocation,
  type StoredGuest,
} from '@kata-agent/realm';
import {
  type Channel,
  connect,
  createServer as createTtrpcServer,
  type HandlerContext,
  type ServiceImplementation,
  service,
} from '@kata-agent/ttrpc';
import { parseCertificate } from '@kata-agent/x509';
import type { ClientCertificate } from './authority.js';

/** What an operator may do. */
export interface Rights {
  readonly verbs: readonly OperatorVerb[];
  /** Absent: all. */
  readonly guests?: readonly string[];
  readonly methods?: readonly string[];
}

interface RealmParts {
  readonly certificate: Pick<ClientCertificate, 'cert' | 'key'>;
  /** PEM: of the operators' CA. */
  readonly operatorCa: string;
  /** By a URI of the certificate. */
  readonly rights?: Readonly<Record<string, Rights>>;
  readonly limits?: Partial<OperatorLimits>;
}

/** A realm's server for operators, of which all that is behind it is a test's. */
export class TestRealm {
  readonly port: number;
  readonly service: OperatorService;
  readonly rights: Map<string, Rights>;
  readonly guests: Guest[] = [];
  readonly past: StoredGuest[] = [];
  /** Files, by the guest's ID. */
  readonly logs: Map<string, string> = new Map();
  readonly decisions: Decision[] = [];
  readonly revoked: { readonly guest: string; readonly revocation: Revocation }[] = [];
  readonly reported: string[] = [];
  /** Opens a connection to a guest. */
  open: (guest: Guest) => Promise<Duplex> = (): Promise<Duplex> =>
    Promise.reject(new Error('no guest dials'));
  revoke: (revocation: Revocation) => Promise<{ readonly closed: number }> = async (): Promise<{
    readonly closed: number;
  }> => ({ closed: 1 });
  /** Reads a log. */
  readLog: GuestLogs['readLog'] = (...args) => this.#readFile(...args);
  /** The end of each connection of an operator. */
  readonly sockets: Set<Socket> = new Set();
  readonly #server: Server;

  private constructor(server: Server, { rights = {}, limits = {} }: RealmParts) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.rights = new Map(Object.entries(rights));
    const find = <G extends StoredGuest>(guests: readonly G[], name: string): G | undefined =>
      guests.find(
        (guest) => guest.name === name || (/^[0-9a-f]{12,64}$/.test(name) && guest.id.startsWith(name)),
      );
    this.service = new OperatorService({
      guests: { list: () => this.guests, find: (name) => find(this.guests, name) },
      logs: {
        find: async (name) => find(this.past, name),
        stateOf: (id) => (this.logs.has(id) ? { state: 'verified', records: 3, lastSequence: 3 } : undefined),
        readLog: (...args) => this.readLog(...args),
      },
      decisions: { record: (decision) => this.decisions.push(decision) },
      limits: { ...operatorLimits, ...limits },
      openConnection: (guest) => this.open(guest),
      openConnectionFor: (guest) => this.open(guest),
      remote: {
        connect: async () => {
          throw new Error('there are no other replicas');
        },
        revoke: async () => {
          throw new Error('there are no other replicas');
        },
      },
      revoke: async ({ id }, revocation) => {
        this.revoked.push({ guest: id, revocation });
        return await this.revoke(revocation);
      },
      isOwn: (revocation) => 'peer' in revocation && revocation.peer === 'cn:realm',
      report: (message, error) => this.reported.push(`${message}: ${String(error)}`),
    });
    server.on('request', (request, response) => {
      void this.service.request(request, response, this.#source(request.socket as TLSSocket));
    });
    server.on('upgrade', (request, socket, head) => {
      void this.service.upgrade(request, socket, head, this.#source(request.socket as TLSSocket));
    });
    server.on('secureConnection', (socket: TLSSocket) => {
      // As the realm does with operators that it has authenticated.
      socket.allowHalfOpen = true;
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.sockets.delete(socket));
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  static async start(t: Pick<TestContext, 'after'>, parts: RealmParts): Promise<TestRealm> {
    const { cert, key } = parts.certificate;
    const server = createHttpsServer({
      ...operatorHttpsOptions({ cert, key }, { ca: [parts.operatorCa], crl: [] }, 10_000),
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const realm = new TestRealm(server, parts);
    t.after(() => realm.close());
    return realm;
  }

  get address(): string {
    return `realm://localhost:${this.port}`;
  }

  /** Lets requests take any time to arrive, until the function that it returns is called. */
  withoutTimeouts(): () => void {
    const { headersTimeout, requestTimeout } = this.#server;
    Object.assign(this.#server, { headersTimeout: 0, requestTimeout: 0 });
    return () => void Object.assign(this.#server, { headersTimeout, requestTimeout });
  }

  /** Returns what was denied, as `verb guest method`. */
  denied(): readonly string[] {
    return this.decisions.flatMap(({ allowed, verb, guest, method = '' }) =>
      allowed ? [] : [`${verb} ${guest?.name ?? '-'} ${method}`.trim()],
    );
  }

  /** Closes everything at once, as a crash does. */
  close(): void {
    this.service.close();
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  #readFile(...[id, from = 1, follow, signal]: Parameters<GuestLogs['readLog']>) {
    return readLines(this.logs.get(id) ?? '', from, follow, signal);
  }

  #source(socket: TLSSocket) {
    const { alternativeNames } = parseCertificate(socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0));
    const name = alternativeNames.flatMap(({ kind, value }) => (kind === 'uri' ? [value] : []))[0] ?? '';
    return () => {
      const rights = this.rights.get(name);
      if (rights === undefined) return undefined;
      const { verbs, guests, methods = ['*'] } = rights;
      const mine = (guest: { readonly name: string }): boolean => guests?.includes(guest.name) ?? true;
      return {
        name: `uri:${name}`,
        may: (verb: OperatorVerb, guest: { readonly name: string }) => verbs.includes(verb) && mine(guest),
        mayCall: (method: string, guest: { readonly name: string }) =>
          verbs.includes('connect') && mine(guest) && (methods.includes('*') || methods.includes(method)),
      };
    };
  }
}

async function* readLines(
  file: string,
  from: number,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<readonly Uint8Array[], void> {
  const over = new AbortController();
  // Ends after what is there.
  const timer = follow ? undefined : setTimeout(() => over.abort(), 300);
  try {
    yield* followLines(file, { from, signal: AbortSignal.any([signal, over.signal]), intervalMs: 20 });
  } finally {
    clearTimeout(timer);
  }
}

type Handlers<C> = Partial<ServiceImplementation<typeof AgentService, C>>;

/** A server of ttRPC as a guest's. */
export interface GuestServer {
  /** The calls, with their metadata. */
  readonly calls: { readonly method: string; readonly metadata: Readonly<Record<string, unknown>> }[];
  serve(stream: Duplex): void;
  close(): void;
}

/** Creates a server of all three services. */
export function guestServer(t: Pick<TestContext, 'after'>, handlers: Handlers<null> = {}): GuestServer {
  const calls: GuestServer['calls'] = [];
  const server = createTtrpcServer<null>({
    services: [
      service<typeof AgentService, null>(AgentService, handlers),
      service<typeof Health, null>(Health, {
        check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
        version: async () => ({ grpcVersion: '0.0.1', agentVersion: '9.9' }),
      }),
      service<typeof Management, null>(Management, {
        describe: async () => ({
          version: '9.9',
          bootId: 'boot',
          configurationDigest: `sha256:${'1'.repeat(64)}`,
        }),
        revokePeer: async () => ({ closed: 2 }),
        watchAudit: async function* () {
          yield { records: [] };
        },
      }),
    ],
    interceptors: [
      (request, { method, metadata }: HandlerContext<null>, next) => {
        calls.push({ method, metadata: Object.fromEntries(metadata) });
        return next(request);
      },
    ],
  });
  t.after(() => server.close());
  return { calls, serve: (stream) => void server.serve(stream, null), close: () => server.close() };
}

/** Creates two connected sockets, with the real behaviour of TCP. */
export async function socketPair(t: Pick<TestContext, 'after'>): Promise<readonly [Socket, Socket]> {
  const listener = createTcpServer({ allowHalfOpen: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const one = connectTcp({
    port: (listener.address() as AddressInfo).port,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  const [[two]] = (await Promise.all([once(listener, 'connection'), once(one, 'connect')])) as [
    [Socket],
    unknown,
  ];
  listener.close();
  for (const socket of [one, two]) {
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
  }
  return [one, two];
}

/** Returns a guest; its channel is not connected unless one is given. */
export function guestOf(name: string, change: Partial<Guest> = {}): Guest {
  const digit = (name.charCodeAt(0) % 16).toString(16);
  const channel = { closed: new Promise<void>(() => undefined) } as Channel;
  return {
    id: digit.repeat(64),
    name,
    relay: 'operator-tls',
    attested: false,
    described: { version: '9.9', bootId: 'boot', configurationDigest: `sha256:${digit.repeat(64)}` },
    connectedAt: Date.UTC(2026, 0),
    channel,
    ...change,
  };
}

/** A guest whose relay is trusted, with its server, and the guest's end of the connection. */
export async function trustedGuest(
  t: Pick<TestContext, 'after'>,
  name: string,
  handlers: Handlers<null> = {},
): Promise<{ readonly guest: Guest; readonly server: GuestServer; readonly far: Socket }> {
  const [near, far] = await socketPair(t);
  const server = guestServer(t, handlers);
  server.serve(far);
  return { guest: guestOf(name, { relay: 'trusted', channel: connect(near) }), server, far };
}
