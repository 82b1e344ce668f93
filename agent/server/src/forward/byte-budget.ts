import { Code, TtrpcError } from '@kata-agent/ttrpc';

/** The bytes of requests that wait for the inner agent, in all connections together. */
export class ByteBudget {
  readonly #max: number;
  #used = 0;

  constructor(max: number) {
    this.#max = max;
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
    if (this.#used + bytes > this.#max)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `requests of ${this.#used} bytes wait for the inner agent: at most ${this.#max} may`,
      );
    this.#used += bytes;
    return () => {
      this.#used -= bytes;
    };
  }
}
