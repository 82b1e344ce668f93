/** The maximum delay of setTimeout; a longer one fires at once. */
const longestMs = 2 ** 31 - 1;

/** Runs a function repeatedly, with a pause between the end of one round and the start of the next. */
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

  /** Sets the pause and starts it over; undefined stops. A round that runs is not interrupted. */
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
