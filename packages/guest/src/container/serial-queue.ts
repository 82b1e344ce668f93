/**
 * Runs tasks one after another, in the order in which they were asked for (S13). A task that fails does not stop the
 * ones behind it.
 */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();
  #refusal: (() => Error) | undefined;

  /** Takes no more tasks: from now on `run` rejects with this. What was asked for before is still done. */
  close(refusal: () => Error): void {
    this.#refusal = refusal;
  }

  run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal());
    const result = this.#last.then(() => awake(task));
    // The failure is the caller's, by `result`; the queue only needs to know that the turn is over.
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}

/**
 * Keeps Node from ending before the task has. What a task waits for may be a process's end, and neither SIGCHLD nor a
 * promise holds the event loop: an agent that has closed its listeners would exit in the middle of its clean-up.
 */
async function awake<T>(task: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, 2 ** 30);
  try {
    return await task();
  } finally {
    clearInterval(timer);
  }
}
