/**
 * Runs tasks one after another, in the order in which they were asked for (S13). A task that fails does not stop the
 * ones behind it.
 */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    // The failure is the caller's, by `result`; the queue only needs to know that the turn is over.
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}
