import type { Duplex } from 'node:stream';
import { errors, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { type RemoteConnect, type RemoteHandlers, RemoteRefusedError, type TokenOffer } from '../bus.js';
import { encodeFrame, Pipe, type PipeEnd, type PipeTransport } from '../pipe.js';
import {
  type Answer,
  decoded,
  encoded,
  type Malformed,
  parse,
  parseAnswer,
  parseRequest,
  parseTokenAnswer,
  parseTokenRequest,
  type Request,
  type TokenAnswer,
  unavailable,
} from './bus-messages.js';
import { subjects } from './subjects.js';

/** How long the replica that waits for a token may take to say so. */
const tokenMs = 3_000;

/** How long another replica may take to answer. */
const requestMs = 20_000;

export interface ReplicaRequestsOptions {
  readonly nc: NatsConnection;
  readonly replica: string;
  readonly transport: PipeTransport;
  /** Reports whether this replica holds a guest with this epoch. */
  readonly holds: (guest: string, epoch: number) => boolean;
  readonly malformed: Malformed;
  readonly log: (message: string, error?: Error) => void;
}

/** Requests between replicas: from the one that has an operator, to the one that holds a guest. */
export class ReplicaRequests {
  readonly #options: ReplicaRequestsOptions;
  #subscription: Subscription | undefined;
  #pending = 0;

  constructor(options: ReplicaRequestsOptions) {
    this.#options = options;
  }

  /** Requests that wait for an answer of another replica. */
  get pending(): number {
    return this.#pending;
  }

  /** Asks another replica. Rejects with a RemoteRefusedError. */
  async ask(replica: string, request: Request): Promise<Extract<Answer, { ok: true }>> {
    const { nc, log, malformed } = this.#options;
    let answer: Answer | undefined;
    this.#pending += 1;
    try {
      const options = { timeout: requestMs };
      const reply = await nc.request(subjects.requests(replica), JSON.stringify(request), options);
      answer = parseAnswer(parse(reply));
      if (answer === undefined) malformed.add('an answer to a request');
    } catch (error) {
      log('another replica does not answer', error as Error);
    } finally {
      this.#pending -= 1;
    }
    if (answer === undefined) throw new RemoteRefusedError(unavailable);
    if (!answer.ok) throw new RemoteRefusedError(answer.refusal);
    return answer;
  }

  serve(handlers: RemoteHandlers): void {
    const { nc, replica, log } = this.#options;
    this.#subscription = nc.subscribe(subjects.requests(replica), {
      callback: (error, message) => {
        // Without the permission: the message is none then.
        if (error === null) void this.#answer(handlers, message);
        else log('requests of other replicas cannot be received', error);
      },
    });
  }

  stop(): void {
    this.#subscription?.unsubscribe();
  }

  async #answer(handlers: RemoteHandlers, message: Msg): Promise<void> {
    const answer = (value: Answer): void => void message.respond(JSON.stringify(value));
    try {
      answer(await this.#perform(handlers, message));
    } catch (error) {
      if (!(error instanceof RemoteRefusedError))
        this.#options.log('a request of another replica', error as Error);
      answer({ ok: false, refusal: error instanceof RemoteRefusedError ? error.refusal : unavailable });
    }
  }

  async #perform(handlers: RemoteHandlers, message: Msg): Promise<Answer> {
    const { transport, holds, malformed } = this.#options;
    const asked = parseRequest(parse(message));
    if (asked === undefined) {
      malformed.add('a request');
      throw new RemoteRefusedError(unavailable);
    }
    const { guest, epoch, from } = asked;
    if (!holds(guest, epoch)) throw new RemoteRefusedError(unavailable);
    const request: RemoteConnect = { guest, epoch, from, certificates: decoded(asked.certificates) };
    if (asked.kind === 'revoke') return { ok: true, ...(await handlers.revoke(request, asked.revoked)) };
    const { pipe: id } = asked;
    await handlers.connect(request, {
      id,
      open: () => {
        const pipe = new Pipe(transport, id, 'b');
        pipe.hello();
        return pipe;
      },
      abort: (why) => transport.send(id, 'a', encodeFrame({ kind: 'abort', why })),
    });
    return { ok: true };
  }
}

/** Frames of pipes over NATS. */
export interface NatsPipeTransport extends PipeTransport {
  /** How many ends are open here. */
  readonly open: number;
}

/** Returns how frames of pipes are sent over NATS. */
export function pipeTransport(nc: NatsConnection): NatsPipeTransport {
  let open = 0;
  return {
    get open() {
      return open;
    },
    send: (pipe, end, bytes) => {
      if (!nc.isClosed()) nc.publish(subjects.pipe(pipe, end), bytes);
    },
    receive: (pipe: string, end: PipeEnd, onBytes) => {
      const subscription = nc.subscribe(subjects.pipe(pipe, end), {
        callback: (error, message) => {
          if (error === null) onBytes(message.data);
        },
      });
      open += 1;
      return () => {
        open -= 1;
        subscription.unsubscribe();
      };
    },
  };
}

/** Resolves when the other end of a pipe is open. Rejects with a RemoteRefusedError. */
export async function openedInTime(pipe: Pipe, opened: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new RemoteRefusedError(unavailable)), timeoutMs);
    pipe.once('close', () => reject(new RemoteRefusedError(unavailable)));
  });
  try {
    await Promise.race([opened, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface TokenOffersOptions {
  readonly nc: NatsConnection;
  readonly transport: PipeTransport;
  readonly malformed: Malformed;
  /** Resolves when the server knows what was subscribed. Rejects when the bus is not connected. */
  readonly flushed: () => Promise<void>;
  readonly handlers: () => RemoteHandlers | undefined;
  readonly log: (message: string, error?: Error) => void;
}

/** Finds the replica that waits for the connection that a guest opens with a token. */
export class TokenOffers {
  readonly #options: TokenOffersOptions;

  constructor(options: TokenOffersOptions) {
    this.#options = options;
  }

  /**
   * Answers other replicas to which the connection comes. Resolves when they can ask, or when the bus cannot be used, with a
   * function that ends it.
   */
  async offer(token: string, { guest, certificates, taken }: TokenOffer): Promise<() => void> {
    const { nc, log, flushed } = this.#options;
    const subscription = nc.subscribe(subjects.token(token), {
      callback: (error, message) => {
        if (error !== null) return log('no other replica can find the connection of a guest', error);
        const pipe = parseTokenRequest(parse(message)) === guest.id ? taken() : undefined;
        const answer: TokenAnswer =
          pipe === undefined
            ? { pipe: null }
            : { pipe: pipe.pipe, guest, certificates: encoded(certificates) };
        message.respond(JSON.stringify(answer));
      },
    });
    // The guest can be at another replica before the server knows the subscription. Without the bus it can still come here.
    await flushed().catch((error: unknown) => log('other replicas cannot ask for a token', error as Error));
    return () => subscription.unsubscribe();
  }

  /** Asks other replicas for the pipe that waits for a guest's connection; undefined if none does. Never rejects. */
  async find(guest: string, token: string): Promise<((stream: Duplex) => void) | undefined> {
    const answer = await this.#ask(guest, token);
    if (answer === undefined || answer.pipe === null) return undefined;
    const { transport, handlers } = this.#options;
    const { pipe: id, guest: offered, certificates } = answer;
    return (stream) => {
      const served = handlers();
      if (served === undefined) return void stream.destroy();
      // The other end sends nothing before the hello: then servers know our subscription.
      const pipe = new Pipe(transport, id, 'b');
      pipe.hello();
      served.joined(offered, decoded(certificates), { pipe, stream });
    };
  }

  async #ask(guest: string, token: string): Promise<TokenAnswer | undefined> {
    const { nc, log, malformed } = this.#options;
    try {
      const options = { timeout: tokenMs };
      const reply = await nc.request(subjects.token(token), JSON.stringify({ guest }), options);
      const answer = parseTokenAnswer(guest, parse(reply));
      if (answer === undefined) malformed.add('an answer about a token');
      return answer;
    } catch (error) {
      // Nobody waits for this token, if nobody answers.
      if (!isUnanswered(error)) log('another replica was not asked for a token', error as Error);
      return undefined;
    }
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
