import type { Duplex } from 'node:stream';
import { errors, type NatsConnection } from '@nats-io/transport-node';
import type { RemoteHandlers, TokenOffer } from '../bus.js';
import { Pipe, type PipeTransport } from '../pipe.js';
import type { Malformed } from './malformed.js';
import {
  decoded,
  encoded,
  parse,
  parseTokenAnswer,
  parseTokenRequest,
  type TokenAnswer,
} from './replica-messages.js';
import { subjects } from './subjects.js';

/** How long the replica that waits for a token may take to say so. */
const tokenMs = 3_000;

interface Options {
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
  readonly #options: Options;

  constructor(options: Options) {
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
