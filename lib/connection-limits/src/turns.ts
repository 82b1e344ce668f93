/** Runs work one piece a turn of the event loop, so that other connections are served in between. */
export class Turns {
  readonly #waiting = new Set<() => void>();

  /** Adds work, once. It runs in a later turn. */
  add(work: () => void): void {
    this.#waiting.add(work);
    if (this.#waiting.size === 1) setImmediate(this.#next);
  }

  /** Removes work that has not run. */
  remove(work: () => void): void {
    this.#waiting.delete(work);
  }

  readonly #next = (): void => {
    const [first] = this.#waiting;
    if (first === undefined) return;
    this.#waiting.delete(first);
    // Scheduled first: work may throw.
    if (this.#waiting.size > 0) setImmediate(this.#next);
    first();
  };
}
