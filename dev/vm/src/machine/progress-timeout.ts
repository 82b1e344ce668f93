/**
 * Two timers over an operation: `silence` restarts with each sign of progress, `limit` does not. Calls
 * `onTimeout` once, with the reason, when the first of them expires. Both are in seconds.
 */
export class ProgressTimeout {
  readonly #silence: NodeJS.Timeout;
  readonly #limit: NodeJS.Timeout;
  #onTimeout: ((reason: string) => void) | undefined;

  constructor(
    { silence, limit }: { readonly silence: number; readonly limit: number },
    onTimeout: (reason: string) => void,
  ) {
    this.#onTimeout = onTimeout;
    this.#silence = setTimeout(() => this.#expire(`no console output for ${silence} s`), silence * 1000);
    this.#limit = setTimeout(() => this.#expire(`timeout after ${limit} s`), limit * 1000);
  }

  /** Restarts the silence timer. */
  progress(): void {
    if (this.#onTimeout !== undefined) this.#silence.refresh();
  }

  /** Stops both timers. */
  cancel(): void {
    this.#onTimeout = undefined;
    clearTimeout(this.#silence);
    clearTimeout(this.#limit);
  }

  #expire(reason: string): void {
    const onTimeout = this.#onTimeout;
    this.cancel();
    onTimeout?.(reason);
  }
}
