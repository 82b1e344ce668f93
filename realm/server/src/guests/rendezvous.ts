import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { Relay } from '@kata-agent/protocol/relay';
import { createClient } from '@kata-agent/ttrpc';
import { type Bus, oneProcess } from '../bus/bus.js';
import { certificateOf } from '../listener/tls-acceptor.js';
import type { Guest } from '../guest.js';

const defaultTimeoutMs = 15_000;

interface Expected {
  readonly guest: string;
  readonly arrive: (stream: Duplex) => void;
}

/** Connections that one guest can be asked for at once. */
const maxOfGuest = 64;

/** Matches connections that guests were asked for with those who wait for them. */
export class Rendezvous {
  readonly #expected = new Map<string, Expected>();

  /**
   * Resolves with the connection that a guest opens with a token. Rejects after the timeout, or with the reason of the
   * signal; then the token is worth nothing. A token is used once.
   *
   * @param guest ID of the guest: a connection of another one does not count.
   * @param token 64 hex digits, of random bytes.
   */
  expect(guest: string, token: string, timeoutMs: number, signal?: AbortSignal): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      const waiting = [...this.#expected.values()].filter((each) => each.guest === guest).length;
      if (waiting >= maxOfGuest)
        throw new Error(`guest ${guest} was asked for ${waiting} connections that it has not opened`);
      if (this.#expected.has(token)) throw new Error('the token is in use');
      if (signal?.aborted === true) throw signal.reason as Error;
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#expected.delete(token);
      };
      const fail = (error: Error): void => {
        end();
        reject(error);
      };
      const abort = (): void => fail(signal?.reason as Error);
      const timer = setTimeout(
        () => fail(new Error(`guest ${guest} has opened no connection within ${timeoutMs} ms`)),
        timeoutMs,
      );
      signal?.addEventListener('abort', abort);
      this.#expected.set(token, {
        guest,
        arrive: (stream) => {
          end();
          resolve(stream);
        },
      });
    });
  }

  /**
   * Takes what waits for a connection; undefined if nothing does, or if another guest was asked for it. The token has 256
   * random bits: a lookup tells nothing that helps to guess it.
   */
  take(guest: string, token: string): ((stream: Duplex) => void) | undefined {
    const expected = this.#expected.get(token);
    if (expected === undefined || expected.guest !== guest) return undefined;
    this.#expected.delete(token);
    return expected.arrive;
  }
}

interface OpenOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly bus?: Pick<Bus, 'offerToken' | 'makePipe'>;
  /** Of the operator, for the replica to which the connection comes. */
  readonly certificates?: readonly Buffer[];
  /** The pipe at whose other end the operator is; absent: it is here. */
  readonly pipe?: string;
}

/**
 * Asks a guest for one more connection, for one operator, and returns it: what is in it is TLS, of which the guest is the
 * server. It can come to another replica; then it is returned as a pipe, or was joined to the given one: undefined. Rejects
 * with a TtrpcError of the guest, the reason of the signal, or an Error after the timeout; whatever was opened is closed then.
 */
export async function openConnection(
  rendezvous: Rendezvous,
  { id, name, channel }: Pick<Guest, 'id' | 'name' | 'channel'>,
  { timeoutMs = defaultTimeoutMs, signal, bus = oneProcess, certificates = [], pipe }: OpenOptions = {},
): Promise<Duplex | undefined> {
  const token = randomBytes(32);
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]);
  const connection = rendezvous.expect(id, token.toString('hex'), timeoutMs, either);
  let join: (stream: Duplex | undefined) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const joined = new Promise<Duplex | undefined>((resolve, reject) => {
    join = resolve;
    fail = reject;
  });
  // They are waited for later.
  for (const each of [connection, joined]) each.catch(() => undefined);
  const withdraw = await bus.offerToken(token.toString('hex'), {
    guest: { id, name },
    certificates,
    taken: () => {
      // A token is used once, wherever the connection comes to.
      if (rendezvous.take(id, token.toString('hex')) === undefined) return undefined;
      if (pipe !== undefined) {
        join(undefined);
        return { pipe };
      }
      const own = bus.makePipe();
      own.stream.once('close', () => fail(new Error(`guest ${id} has left the replica that it has dialled`)));
      void own.opened.then(() => join(own.stream));
      failed.signal.addEventListener('abort', () => own.stream.destroy(), { once: true });
      return { pipe: own.id };
    },
  });
  const call = createClient(Relay, channel).openConnection(
    { token, operator: operatorLabel(certificates) },
    { timeoutMs, signal: either },
  );
  try {
    const [stream] = await Promise.all([Promise.race([connection, joined]), call]);
    return stream;
  } catch (error) {
    failed.abort(error);
    void connection.then(
      (stream) => stream.destroy(),
      () => undefined,
    );
    void call.catch(() => undefined);
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    withdraw();
  }
}

/**
 * Returns by what the guest tells the connections of operators apart before their handshakes: the same for all certificates of an
 * operator, as it counts their connections. Empty for one that the guest does not accept either.
 */
function operatorLabel([own]: readonly Buffer[]): Uint8Array {
  const certificate = certificateOf(own);
  if (typeof certificate === 'string') return new Uint8Array();
  const names = certificate.alternativeNames.map(({ kind, value }) => `${kind}:${value}`);
  return createHash('sha256')
    .update(JSON.stringify([certificate.subjectText, ...names]))
    .digest();
}
