import type { Duplex } from 'node:stream';

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
