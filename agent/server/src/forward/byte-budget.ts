import { Code, TtrpcError } from '@kata-agent/ttrpc';

/** The bytes of requests that wait for the inner agent, in all connections together. */
export class ByteBudget {
  readonly #most: number;
  #used = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Takes bytes of the budget; the function that it returns gives them back.
   *
   * @throws RESOURCE_EXHAUSTED if there are not as many left.
   */
  take(bytes: number): () => void {
    if (this.#used + bytes > this.#most)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `requests of ${this.#used} bytes wait for the inner agent: at most ${this.#most} may`,
      );
    this.#used += bytes;
    return () => {
      this.#used -= bytes;
    };
  }
}
