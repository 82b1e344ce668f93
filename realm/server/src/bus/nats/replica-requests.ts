import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { type RemoteConnect, type RemoteHandlers, RemoteRefusedError } from '../bus.js';
import { Pipe, type PipeTransport } from '../pipe.js';
import { encodeFrame } from '../pipe-frame.js';
import type { Malformed } from './malformed.js';
import {
  type Answer,
  decoded,
  parse,
  parseAnswer,
  parseRequest,
  type Request,
  unavailable,
} from './replica-messages.js';
import { subjects } from './subjects.js';

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
