import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { jetstream } from '@nats-io/jetstream';
import { errors, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import type { RemoteGuest } from '../../guests/guest.js';
import type { RevokedPeer } from '../../store/revocations.js';
import type { SharedStore } from '../../store/store.js';
import {
  type Bus,
  type GuestClaim,
  type Lease,
  type RemoteConnect,
  type RemoteHandlers,
  RemoteRefusedError,
  type TokenOffer,
} from '../bus.js';
import { BusError } from '../bus-error.js';
import type { BusOptions } from '../bus-options.js';
import { Pipe, type PipeTransport } from '../pipe.js';
import { encodeFrame } from '../pipe-frame.js';
import { connectNats } from './connect-nats.js';
import { ConnectionState } from './connection-state.js';
import { Leases, type LeaseTimes, leaseTimes } from './leases.js';
import { NatsLogs } from './nats-logs.js';
import { NatsRevocations } from './nats-revocations.js';
import { openParts, type Parts } from './open-parts.js';
import { openedInTime, pipeTransport } from './pipe-transport.js';
import {
  type Answer,
  decoded,
  encoded,
  parse,
  type Request,
  type TokenAnswer,
  unavailable,
} from './replica-messages.js';
import { hex, subjects } from './subjects.js';
import { WatchedBucket } from './watched-bucket.js';

export interface NatsBusOptions extends BusOptions {
  readonly log: (message: string, error?: Error) => void;
  readonly times?: LeaseTimes;
}

/** How long another replica may take to answer. */
const requestMs = 20_000;
const tokenMs = 3_000;

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
  readonly #transport: PipeTransport;
  /** Ends of pipes here that have the operator, by guest. */
  readonly #pipes = new Map<Pipe, { readonly guest: string; readonly epoch: number }>();
  readonly #timer: NodeJS.Timeout;
  #handlers: RemoteHandlers | undefined;
  readonly #connection: ConnectionState;
  #stopped = false;
  #requests: Subscription | undefined;

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
    this.#leases = new Leases(parts.live, replica, this.#times, (guest, epoch) => this.#moved(guest, epoch));
    this.#live = new WatchedBucket(parts.live, (change) => this.#leases.take(change), failed);
    this.#revocations = new NatsRevocations(
      parts.revocations,
      (revocation) => this.#handlers?.revoked(revocation),
      failed,
    );
    const logs = new NatsLogs({
      js: jetstream(nc),
      jsm: parts.jsm,
      known: parts.known,
      connected: () => this.#connection.connected(),
      whileConnected: (work) => this.#connection.whileConnected(work),
      onFailure: failed,
    });
    this.#logs = logs;
    this.shared = {
      revocations: this.#revocations,
      logs: (id) => logs.logs(id),
      known: () => logs.known(),
      logOf: (id) => this.#leases.remoteOf(id)?.log ?? logs.logOf(id),
      read: (id, read) => logs.read(id, read),
    };
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
      await this.#ask(replica, {
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
    const { closed = 0 } = await this.#ask(replica, {
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

  async offerToken(token: string, { guest, certificates, taken }: TokenOffer): Promise<() => void> {
    const subscription = this.#nc.subscribe(subjects.token(token), {
      callback: (_error, message) => {
        const asked = parse(message) as { readonly guest?: unknown } | undefined;
        const pipe = asked?.guest === guest.id ? taken() : undefined;
        const answer: TokenAnswer =
          pipe === undefined
            ? { pipe: null }
            : { pipe: pipe.pipe, guest, certificates: encoded(certificates) };
        message.respond(JSON.stringify(answer));
      },
    });
    // The guest can be at another replica before the server knows the subscription. Without the bus it can still come here.
    await this.#connection
      .whileConnected(() => this.#nc.flush())
      .catch((error: unknown) => this.#log('other replicas cannot ask for a token', error as Error));
    return () => subscription.unsubscribe();
  }

  async findToken(guest: string, token: string): Promise<((stream: Duplex) => void) | undefined> {
    let answer: TokenAnswer | undefined;
    try {
      const reply = await this.#nc.request(subjects.token(token), JSON.stringify({ guest }), {
        timeout: tokenMs,
      });
      answer = parse(reply) as TokenAnswer | undefined;
    } catch (error) {
      // Nobody waits for this token, if nobody answers.
      if (!isUnanswered(error)) this.#log('another replica was not asked for a token', error as Error);
    }
    if (answer === undefined || answer.pipe === null) return undefined;
    const { pipe: id, guest: offered, certificates } = answer;
    // Servers know the subscription before the first frame that we send: the other end sends nothing before that.
    const pipe = new Pipe(this.#transport, hex(id), 'b');
    return (stream) => {
      pipe.hello();
      if (this.#handlers === undefined) stream.destroy();
      else this.#handlers.joined(offered, decoded(certificates), { pipe, stream });
    };
  }

  serve(handlers: RemoteHandlers): void {
    this.#handlers = handlers;
    this.#requests = this.#nc.subscribe(subjects.requests(this.replica), {
      callback: (_error, message) => void this.#answer(message),
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#connection.stop();
    this.#requests?.unsubscribe();
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

  async #ask(replica: string, request: Request): Promise<Extract<Answer, { ok: true }>> {
    let answer: Answer | undefined;
    try {
      const reply = await this.#nc.request(subjects.requests(replica), JSON.stringify(request), {
        timeout: requestMs,
      });
      answer = parse(reply) as Answer | undefined;
    } catch (error) {
      this.#log('another replica does not answer', error as Error);
    }
    if (answer === undefined) throw new RemoteRefusedError(unavailable);
    if (!answer.ok) throw new RemoteRefusedError(answer.refusal);
    return answer;
  }

  async #answer(message: Msg): Promise<void> {
    const answer = (value: Answer): void => void message.respond(JSON.stringify(value));
    try {
      const asked = parse(message) as Request | undefined;
      if (asked === undefined || this.#handlers === undefined) throw new RemoteRefusedError(unavailable);
      const { guest, epoch, from } = asked;
      if (!this.#leases.holds(guest, epoch)) throw new RemoteRefusedError(unavailable);
      const request: RemoteConnect = { guest, epoch, from, certificates: decoded(asked.certificates) };
      if (asked.kind === 'revoke') {
        const { peer = '', serial = '', issuer = '' } = asked.revoked ?? {};
        answer({ ok: true, ...(await this.#handlers.revoke(request, { peer, serial, issuer })) });
        return;
      }
      const id = hex(asked.pipe ?? '');
      await this.#handlers.connect(request, {
        id,
        open: () => {
          const pipe = new Pipe(this.#transport, id, 'b');
          pipe.hello();
          return pipe;
        },
        abort: (why) => this.#transport.send(id, 'a', encodeFrame({ kind: 'abort', why })),
      });
      answer({ ok: true });
    } catch (error) {
      if (!(error instanceof RemoteRefusedError)) this.#log('a request of another replica', error as Error);
      answer({ ok: false, refusal: error instanceof RemoteRefusedError ? error.refusal : unavailable });
    }
  }

  /** Ends the pipes to a guest that another replica holds now. */
  #moved(guest: string, epoch: number): void {
    for (const [pipe, to] of this.#pipes)
      if (to.guest === guest && to.epoch !== epoch) pipe.destroy(new Error('the guest has moved'));
  }
}

/** Reports whether a request found nobody, or nobody who answered in time. */
function isUnanswered(error: unknown): boolean {
  return (
    error instanceof errors.TimeoutError ||
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders())
  );
}
