import { Code, TtrpcError } from '@kata-agent/ttrpc';

/** Further work than this is refused. */
const mostWaiting = 8;

/** Runs work that reads much, one at a time: each caller could otherwise have the agent do it as often as it asks. */
export class OneAtATime {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Runs work after that of earlier callers. Throws a TtrpcError RESOURCE_EXHAUSTED if too many wait. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= mostWaiting)
      throw new TtrpcError(Code.ResourceExhausted, `${mostWaiting} callers wait for a proof; try again`);
    this.#waiting += 1;
    const before = this.#last;
    const result = before.then(work, work);
    this.#last = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      this.#waiting -= 1;
    }
  }
}
