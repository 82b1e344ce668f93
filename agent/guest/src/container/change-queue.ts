/**
 * The scope of a change, which determines what it waits for (docs/adr/concurrency.md, "Queues of changes"):
 *
 * - one container: earlier changes of that container, and of the sandbox;
 * - `sandbox`, state that containers share, such as the network: earlier changes of the sandbox, and no container's;
 * - `whole`, creation and removal of the sandbox: all earlier changes.
 */
export type ChangeScope = { readonly container: string } | 'sandbox' | 'whole';

/**
 * Runs changes of overlapping scope in the order of the calls (S13); others run concurrently. A failed change does not
 * stop later ones.
 */
export class ChangeQueue {
  #sandbox: Promise<void> = Promise.resolve();
  /** The last change of each container that has one. */
  readonly #containers: Map<string, Promise<void>> = new Map();
  #refusal: (() => Error) | undefined;

  /** Closes the queue: later calls of `run` reject with this error. Queued tasks still run. */
  close(refusal: () => Error): void {
    this.#refusal = refusal;
  }

  run<T>(scope: ChangeScope, task: () => Promise<T>): Promise<T> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal());
    const result = this.#before(scope).then(() => awake(task));
    // The caller gets the failure by `result`; the queue only needs to know that the change has ended.
    const over = result.then(
      () => undefined,
      () => undefined,
    );
    this.#append(scope, over);
    return result;
  }

  #before(scope: ChangeScope): Promise<unknown> {
    if (scope === 'sandbox') return this.#sandbox;
    if (scope === 'whole') return Promise.all([this.#sandbox, ...this.#containers.values()]);
    return Promise.all([this.#sandbox, this.#containers.get(scope.container)]);
  }

  #append(scope: ChangeScope, over: Promise<void>): void {
    if (scope === 'sandbox' || scope === 'whole') {
      this.#sandbox = over;
      return;
    }
    const { container } = scope;
    this.#containers.set(container, over);
    void over.then(() => {
      if (this.#containers.get(container) === over) this.#containers.delete(container);
    });
  }
}

/**
 * Keeps the event loop alive until the task has ended. It may wait for a process's end, and neither SIGCHLD nor a
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
