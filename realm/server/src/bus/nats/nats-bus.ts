import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { RemoteGuest } from '../../guest.js';
import type { RevokedPeer } from '../../store/revocations.js';
import type { SharedStore } from '../../store/store.js';
import type { Bus, BusCounts, GuestClaim, Lease, RemoteHandlers, TokenOffer } from '../bus.js';
import { BusError, type BusOptions } from '../bus-options.js';
import { Pipe } from '../pipe.js';
import { ConnectionState, connectNats } from './connect-nats.js';
import { Leases, type LeaseTimes, leaseTimes } from './leases.js';
import { encoded, Malformed } from './bus-messages.js';
import { NatsLogs } from './nats-logs.js';
import { NatsRevocations } from './nats-revocations.js';
import { openParts, type Parts } from './open-parts.js';
import {
  type NatsPipeTransport,
  openedInTime,
  pipeTransport,
  ReplicaRequests,
  TokenOffers,
} from './replica-requests.js';
import { realmLogs } from './subjects.js';
import { WatchedBucket } from './watched-bucket.js';

export interface NatsBusOptions extends BusOptions {
  readonly log: (message: string, error?: Error) => void;
  readonly times?: LeaseTimes;
}

/** The bus of a realm of several replicas. */
export class NatsBus implements Bus {
  readonly replica: string;
  readonly shared: SharedStore;
  readonly #nc: NatsConnection;
  readonly #leases: Leases;
  readonly #live: WatchedBucket;
  readonly #logs: NatsLogs;
  readonly #revocations: NatsRevocations;
  readonly #times: LeaseTimes;
  readonly #log: NatsBusOptions['log'];
  readonly #transport: NatsPipeTransport;
  /** Ends of pipes here that have the operator, by guest. */
  readonly #pipes = new Map<Pipe, { readonly guest: string; readonly epoch: number }>();
  readonly #timer: NodeJS.Timeout;
  #handlers: RemoteHandlers | undefined;
  readonly #connection: ConnectionState;
  #stopped = false;
  readonly #malformed: Malformed;
  readonly #requests: ReplicaRequests;
  readonly #tokens: TokenOffers;

  private constructor(nc: NatsConnection, replica: string, parts: Parts, options: NatsBusOptions) {
    this.#nc = nc;
    this.replica = replica;
    this.#log = options.log;
    this.#times = options.times ?? leaseTimes;
    this.#transport = pipeTransport(nc);
    const failed = (error: Error): void => {
      if (!this.#stopped) this.#log('the bus', error);
    };
    this.#connection = new ConnectionState(nc, (isConnected) => {
      this.#log(isConnected ? 'the bus is connected again' : 'the bus is not connected');
      if (isConnected) void this.#settle().catch(failed);
    });
    const malformed = new Malformed(this.#log);
    this.#malformed = malformed;
    this.#leases = new Leases({
      kv: parts.live,
      replica,
      times: this.#times,
      malformed,
      settled: () => this.#live.settle(),
      onMoved: (guest, epoch) => this.#moved(guest, epoch),
    });
    this.#live = new WatchedBucket(parts.live, (change) => this.#leases.take(change), failed);
    this.#revocations = new NatsRevocations({
      kv: parts.revocations,
      onAdded: (revocation) => this.#handlers?.revoked(revocation),
      onFailure: failed,
      malformed,
      log: this.#log,
    });
    const logs = new NatsLogs({
      js: jetstream(nc),
      jsm: parts.jsm,
      names: realmLogs,
      known: parts.known,
      connected: () => this.#connection.connected(),
      whileConnected: (work) => this.#connection.whileConnected(work),
      onFailure: failed,
      malformed,
    });
    this.#logs = logs;
    this.shared = {
      revocations: this.#revocations,
      persistRevocations: (copy) => this.#revocations.keep(copy),
      logs: (id) => logs.logs(id),
      known: () => logs.known(),
      logOf: (id) => this.#leases.remoteOf(id)?.log ?? logs.logOf(id),
      read: (id, read) => logs.read(id, read),
    };
    this.#requests = new ReplicaRequests({
      nc,
      replica,
      transport: this.#transport,
      holds: (guest, epoch) => this.#leases.holds(guest, epoch),
      malformed,
      log: this.#log,
    });
    this.#tokens = new TokenOffers({
      nc,
      transport: this.#transport,
      malformed,
      flushed: () => this.#connection.whileConnected(() => nc.flush()),
      handlers: () => this.#handlers,
      log: this.#log,
    });
    this.#timer = setInterval(() => void this.#settle().catch(() => undefined), this.#times.renewMs).unref();
  }

  /** Connects, creates what is missing, and learns what is there. Throws a BusError. */
  static async open(options: NatsBusOptions): Promise<NatsBus> {
    const replica = randomBytes(16).toString('hex');
    const nc = await connectNats(options, `kata realm ${replica.slice(0, 12)}`);
    try {
      const parts = await openParts(nc, options.times ?? leaseTimes);
      const bus = new NatsBus(nc, replica, parts, options);
      await bus.#settle();
      await bus.#logs.bucket.settle();
      return bus;
    } catch (error) {
      await nc.close().catch(() => undefined);
      throw new BusError(`the bus cannot be used: ${(error as Error).message}`, [
        'nats-server needs JetStream, and the permissions of examples/realm/nats-server.conf',
      ]);
    }
  }

  get counts(): BusCounts {
    const { isConnected, reconnects } = this.#connection;
    const { pending } = this.#requests;
    return {
      isConnected,
      reconnects,
      pending,
      pipes: this.#transport.open,
      malformed: this.#malformed.count,
    };
  }

  get ready(): boolean {
    const freshAt = Math.min(this.#live.freshAt, this.#revocations.bucket.freshAt);
    return this.#connection.isConnected && performance.now() - freshAt < this.#times.ttlMs;
  }

  remote(): readonly RemoteGuest[] {
    return this.#leases.remote();
  }

  claim(claim: GuestClaim): Promise<Lease> {
    return this.#leases.claim(claim);
  }

  async connect(guest: RemoteGuest, certificates: readonly Buffer[], timeoutMs: number): Promise<Duplex> {
    const { replica, epoch } = guest.holder;
    const { stream: pipe, opened } = this.makePipe();
    // A connection of the guest itself can outlive the one that it makes calls in.
    if (guest.relay === 'trusted') this.#pipes.set(pipe, { guest: guest.id, epoch });
    pipe.once('close', () => this.#pipes.delete(pipe));
    try {
      await this.#requests.ask(replica, {
        kind: 'connect',
        guest: guest.id,
        epoch,
        certificates: encoded(certificates),
        from: this.replica,
        pipe: pipe.id,
      });
      await openedInTime(pipe, opened, timeoutMs);
      return pipe;
    } catch (error) {
      pipe.destroy(error as Error);
      throw error;
    }
  }

  async revoke(
    guest: RemoteGuest,
    certificates: readonly Buffer[],
    revoked: RevokedPeer,
  ): Promise<{ readonly closed: number }> {
    const { replica, epoch } = guest.holder;
    const { closed = 0 } = await this.#requests.ask(replica, {
      kind: 'revoke',
      guest: guest.id,
      epoch,
      certificates: encoded(certificates),
      from: this.replica,
      revoked,
    });
    return { closed };
  }

  makePipe(): { readonly id: string; readonly stream: Pipe; readonly opened: Promise<void> } {
    const id = randomBytes(32).toString('hex');
    const stream = new Pipe(this.#transport, id, 'a');
    return { id, stream, opened: stream.opened };
  }

  offerToken(token: string, offer: TokenOffer): Promise<() => void> {
    return this.#tokens.offer(token, offer);
  }

  findToken(guest: string, token: string): Promise<((stream: Duplex) => void) | undefined> {
    return this.#tokens.find(guest, token);
  }

  serve(handlers: RemoteHandlers): void {
    this.#handlers = handlers;
    this.#requests.serve(handlers);
  }

  stop(): void {
    this.#stopped = true;
    this.#connection.stop();
    this.#requests.stop();
  }

  async close(): Promise<void> {
    this.stop();
    clearInterval(this.#timer);
    this.#leases.stop();
    for (const bucket of [this.#live, this.#revocations.bucket, this.#logs.bucket]) bucket.stop();
    await this.#nc.close().catch(() => undefined);
  }

  async #settle(): Promise<void> {
    await Promise.all([this.#live.settle(), this.#revocations.bucket.settle()]);
  }

  /** Ends the pipes to a guest that another replica holds now. */
  #moved(guest: string, epoch: number): void {
    for (const [pipe, to] of this.#pipes)
      if (to.guest === guest && to.epoch !== epoch) pipe.destroy(new Error('the guest has moved'));
  }
}
