/** setTimeout takes 31 bits of milliseconds; a longer one would fire at once. */
const longestMs = 2 ** 31 - 1;

/** Something done again and again, with a pause between the end of one round and the next. */
export class Rounds {
  readonly #round: () => Promise<void>;
  readonly #fault: (error: unknown) => void;
  #pauseMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(round: () => Promise<void>, fault: (error: unknown) => void) {
    this.#round = round;
    this.#fault = fault;
  }

  /** From now on with this pause; undefined: no more. A round that runs goes on to its end. */
  every(seconds: number | undefined): void {
    this.#pauseMs = seconds === undefined ? undefined : Math.min(seconds * 1000, longestMs);
    if (!this.#busy) this.#wait();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    if (this.#pauseMs !== undefined) this.#timer = setTimeout(() => void this.#run(), this.#pauseMs).unref();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    try {
      await this.#round();
    } catch (error) {
      this.#fault(error);
    } finally {
      this.#busy = false;
      this.#wait();
    }
  }
}
