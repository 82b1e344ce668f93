/**
 * What a change is about, which says what it waits for (docs/adr/0029-what-a-change-waits-for.md):
 *
 * - one container: earlier changes of that container, and of the sandbox;
 * - `sandbox`, what containers share, as the network: earlier changes of the sandbox, and no container's;
 * - `whole`, the beginning and the end of a sandbox: all earlier ones.
 */
export type ChangeScope = { readonly container: string } | 'sandbox' | 'whole';

/**
 * Runs changes in the order in which they were asked for, as far as they touch each other (S13): what one container holds
 * up, another does not wait for. One that fails does not stop the ones behind it.
 */
export class ChangeQueue {
  #sandbox: Promise<void> = Promise.resolve();
  /** The last change of each container that has one. */
  readonly #containers: Map<string, Promise<void>> = new Map();
  #refusal: (() => Error) | undefined;

  /** Takes no more tasks: from now on `run` rejects with this. What was asked for before is still done. */
  close(refusal: () => Error): void {
    this.#refusal = refusal;
  }

  run<T>(scope: ChangeScope, task: () => Promise<T>): Promise<T> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal());
    const result = this.#before(scope).then(() => awake(task));
    // The failure is the caller's, by `result`; the queue only needs to know that the turn is over.
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
