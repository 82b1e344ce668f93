import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, request } from 'node:http';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import type { OperatorVerb } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { Management } from '@kata-agent/protocol/management';
import {
  type Channel,
  type Client,
  Code,
  codeName,
  connect,
  createClient,
  createServer as createTtrpcServer,
  type HandlerContext,
  type ServiceImplementation,
  service,
  TtrpcError,
} from '@kata-agent/ttrpc';
import type { Operator } from '../authorization/operator-rights.js';
import type { AnyGuest, Guest, RemoteGuest } from '../guest.js';
import type { Revocation } from '../http/revocation.js';
import {
  type Decision,
  type GuestLogs,
  type OperatorLimits,
  operatorLimits,
  type OperatorSource,
  type RemoteUse,
  type StoredGuest,
} from './operator-context.js';
import { OperatorService } from './operator-service.js';

type After = Pick<TestContext, 'after'>;

/** What an operator may do. */
export interface Rights {
  readonly verbs: readonly OperatorVerb[];
  /** Absent: all. */
  readonly guests?: readonly string[];
  readonly methods?: readonly string[];
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Asked {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * What a replica does for operators, without TLS: each connection is given the name of its operator, which is its certificate too.
 * The bus between replicas is in memory.
 */
export class TestReplica {
  readonly name: string;
  readonly service: OperatorService;
  readonly rights: Map<string, Rights>;
  readonly guests: AnyGuest[] = [];
  readonly past: StoredGuest[] = [];
  /** Guests that have a log here. */
  readonly logged: Set<string> = new Set();
  readonly decisions: Decision[] = [];
  readonly revoked: { readonly guest: string; readonly revocation: Revocation; readonly by: string }[] = [];
  readonly reported: string[] = [];
  /** Other replicas, by their names. */
  readonly others: Map<string, TestReplica> = new Map();
  /** Opens a connection to a guest. */
  open: (guest: Guest) => Promise<Duplex> = () => Promise.reject(new Error('no guest dials'));
  revoke: () => Promise<{ readonly closed: number }> = async () => ({ closed: 1 });
  readLog: GuestLogs['readLog'] = async function* () {
    yield [Buffer.from('{}')];
  };
  readonly #t: After;
  readonly #server = createHttpServer();

  constructor(
    t: After,
    rights: Readonly<Record<string, Rights>> = {},
    { limits = {}, name = 'a' }: { readonly limits?: Partial<OperatorLimits>; readonly name?: string } = {},
  ) {
    this.#t = t;
    this.name = name;
    this.rights = new Map(Object.entries(rights));
    const find = <G extends StoredGuest>(guests: readonly G[], wanted: string): G | undefined =>
      guests.find(
        (guest) => guest.name === wanted || (/^[0-9a-f]{12,64}$/.test(wanted) && guest.id.startsWith(wanted)),
      );
    this.service = new OperatorService({
      guests: { list: () => this.guests, find: (wanted) => find(this.guests, wanted) },
      logs: {
        find: async (wanted) => find(this.past, wanted),
        stateOf: (id) =>
          this.logged.has(id) ? { state: 'verified', records: 3, lastSequence: 3 } : undefined,
        readLog: (...args) => this.readLog(...args),
      },
      decisions: { record: (decision) => this.decisions.push(decision) },
      limits: { ...operatorLimits, ...limits },
      openConnection: (guest) => this.open(guest),
      openConnectionFor: (guest) => this.open(guest),
      remote: {
        connect: async (guest, certificates) => await this.#connectElsewhere(guest, certificates),
        revoke: async (guest, certificates, revocation) => {
          const holder = this.#holderOf(guest);
          return await holder.service.remote.revoke(holder.#useOf(guest.id, certificates), revocation);
        },
      },
      revoke: async ({ id }, revocation, { name: by }) => {
        this.revoked.push({ guest: id, revocation, by });
        return await this.revoke();
      },
      isOwn: (revocation) => 'peer' in revocation && revocation.peer === 'cn:realm',
      report: (message, error) => this.reported.push(`${message}: ${String(error)}`),
    });
    const sourceOf = (socket: Duplex): OperatorSource => this.source(nameOf(socket));
    this.#server.on('request', (asked, response) => {
      void this.service.request(asked, response, sourceOf(asked.socket));
    });
    this.#server.on('upgrade', (asked, socket, head) => {
      void this.service.upgrade(asked, socket, head, sourceOf(socket));
    });
    t.after(() => {
      this.service.close();
      this.#server.close();
    });
  }

  /** Joins two replicas by a bus. */
  join(other: TestReplica): void {
    this.others.set(other.name, other);
    other.others.set(this.name, this);
  }

  /** Adds a guest that another replica has. */
  addRemote(guest: Guest, holder: TestReplica): void {
    const { channel: _channel, holder: _none, ...connected } = guest;
    const log = { state: 'none', records: 0, lastSequence: 0 } as const;
    this.guests.push({ ...connected, entry: guest.name, log, holder: { replica: holder.name, epoch: 1 } });
  }

  /** Returns what was denied, as `verb guest method`. */
  denied(): readonly string[] {
    return this.decisions.flatMap(({ allowed, verb, guest, method = '' }) =>
      allowed ? [] : [`${verb} ${guest?.name ?? '-'} ${method}`.trim()],
    );
  }

  source(name: string): OperatorSource {
    return (): Operator | undefined => {
      const rights = this.rights.get(name);
      if (rights === undefined) return undefined;
      const { verbs, guests, methods = ['*'] } = rights;
      const isFor = (guest: { readonly name: string }): boolean => guests?.includes(guest.name) ?? true;
      return {
        name: `cn:${name}`,
        may: (verb, guest) => verbs.includes(verb) && isFor(guest),
        mayCall: (method, guest) =>
          verbs.includes('connect') && isFor(guest) && (methods.includes('*') || methods.includes(method)),
      };
    };
  }

  /** Opens a connection of an operator. */
  async connect(name: string): Promise<Socket> {
    const [near, far] = await socketPair(this.#t);
    Object.assign(far, { getPeerCertificate: () => ({ raw: Buffer.from(name) }) });
    this.#server.emit('connection', far);
    return near;
  }

  /** Sends a request as an operator. */
  async ask(name: string, path: string, { method = 'GET', body, headers = {} }: Asked = {}): Promise<Answer> {
    const socket = await this.connect(name);
    const type = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const sent = request({
      createConnection: () => socket,
      method,
      path,
      headers: { Host: 'x', Connection: 'close', ...type, ...headers },
    });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream & { statusCode: number }];
    let text = '';
    for await (const part of response) text += String(part);
    return { status: response.statusCode, body: text };
  }

  /** Asks for a connection to a guest. Returns it with the head of the answer, and what was sent with a refusal. */
  async upgrade(
    name: string,
    guest: string,
  ): Promise<{ readonly socket: Socket; readonly status: number; readonly head: string }> {
    const socket = await this.connect(name);
    socket.write(
      `GET /guests/${guest} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n\r\n`,
    );
    let bytes = Buffer.alloc(0);
    while (!bytes.includes('\r\n\r\n')) {
      const part: unknown = socket.read();
      if (part !== null) bytes = Buffer.concat([bytes, part as Buffer]);
      else await Promise.race(['readable', 'end', 'close'].map((event) => once(socket, event)));
      assert.equal(socket.destroyed, false, bytes.toString());
    }
    const end = bytes.indexOf('\r\n\r\n');
    if (bytes.length > end + 4) socket.unshift(bytes.subarray(end + 4));
    const head = bytes.subarray(0, end).toString('latin1');
    return { socket, status: Number(head.split(' ')[1]), head };
  }

  /** Connects an operator to a guest whose relay is trusted. */
  async trusted(
    name: string,
    guest: string,
  ): Promise<{
    readonly socket: Socket;
    readonly channel: Channel;
    readonly agent: Client<typeof AgentService>;
    readonly management: Client<typeof Management>;
  }> {
    const { socket, head } = await this.upgrade(name, guest);
    assert.match(head, /^HTTP\/1\.1 101 .*\r\nKata-Agent-Relay: trusted\r\n/s);
    const channel = connect(socket);
    return {
      socket,
      channel,
      agent: createClient(AgentService, channel),
      management: createClient(Management, channel),
    };
  }

  async #connectElsewhere(guest: RemoteGuest, certificates: readonly Buffer[]): Promise<Duplex> {
    const holder = this.#holderOf(guest);
    const [near, far] = await socketPair(this.#t);
    const pipe = { id: 'pipe', open: () => far, abort: (why: string) => void near.destroy(new Error(why)) };
    holder.service.remote.serve(holder.#useOf(guest.id, certificates), pipe);
    return near;
  }

  #holderOf({ holder }: RemoteGuest): TestReplica {
    return this.others.get(holder.replica) ?? assert.fail('no such replica');
  }

  #useOf(id: string, certificates: readonly Buffer[]): RemoteUse {
    const guest = this.guests.find((each) => each.id === id);
    assert.ok(guest !== undefined && guest.holder === undefined);
    const source = this.source(String(certificates[0]));
    return { guest, source, certificates, notAfter: Date.now() + 60_000 };
  }
}

function nameOf(socket: Duplex): string {
  const { getPeerCertificate } = socket as Duplex & { getPeerCertificate?: () => { readonly raw: Buffer } };
  return String(getPeerCertificate?.().raw);
}

/** Creates two connected sockets, with the real behaviour of TCP. */
export async function socketPair(t: After): Promise<readonly [Socket, Socket]> {
  const listener = createTcpServer({ allowHalfOpen: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const one = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
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
  return {
    id: digit.repeat(64),
    name,
    relay: 'operator-tls',
    attested: false,
    described: { version: '9.9', bootId: 'boot', configurationDigest: `sha256:${digit.repeat(64)}` },
    connectedAt: Date.UTC(2026, 0),
    channel: { closed: new Promise<void>(() => undefined) } as Channel,
    ...change,
  };
}

export interface GuestServer {
  readonly calls: { readonly method: string; readonly metadata: Readonly<Record<string, unknown>> }[];
}

/** A guest whose relay is trusted, with the calls that it got, and its end of the connection. */
export async function trustedGuest(
  t: After,
  name: string,
  handlers: Partial<ServiceImplementation<typeof AgentService, null>> = {},
): Promise<{ readonly guest: Guest; readonly server: GuestServer; readonly far: Socket }> {
  const calls: GuestServer['calls'] = [];
  const server = createTtrpcServer<null>({
    services: [
      service<typeof AgentService, null>(AgentService, handlers),
      service<typeof Health, null>(Health, {
        check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
      }),
      service<typeof Management, null>(Management, {
        describe: async () => ({ version: '9.9', bootId: 'boot', configurationDigest: '1'.repeat(64) }),
        revokePeer: async () => ({ closed: 2 }),
      }),
    ],
    interceptors: [
      (asked, { method, metadata }: HandlerContext<null>, next) => {
        calls.push({ method, metadata: Object.fromEntries(metadata) });
        return next(asked);
      },
    ],
  });
  t.after(() => server.close());
  const [near, far] = await socketPair(t);
  void server.serve(far, null);
  return { guest: guestOf(name, { relay: 'trusted', channel: connect(near) }), server: { calls }, far };
}

/** Returns the status of a call. */
export async function answerOf(
  call: Promise<unknown>,
): Promise<{ readonly code: string; readonly message: string }> {
  try {
    await call;
    return { code: codeName(Code.Ok), message: '' };
  } catch (error) {
    assert.ok(error instanceof TtrpcError);
    return { code: codeName(error.code), message: error.message };
  }
}

export async function until(holds: () => boolean, timeoutMs = 10_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!holds()) {
    assert.ok(performance.now() < end, 'it does not come about');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
