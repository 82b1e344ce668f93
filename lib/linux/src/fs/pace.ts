import { setImmediate } from 'node:timers/promises';

/** Time slice of a walk on the event loop in ms: a tenth of the maximum delay of another call (S36). */
const sliceMs = 5;

/** Resolves at the last assigned turn. */
let last: Promise<void> = Promise.resolve();

/** Resolves in a turn of the event loop that no other walk has, so that concurrent walks do not add up their slices. */
function nextTurn(): Promise<void> {
  last = last.then(() => setImmediate());
  return last;
}

/**
 * Divides long work into slices with a turn of the event loop between them, so that other work proceeds. The first
 * slice waits for a turn too, so that starting many walks does not block.
 */
export class Pace {
  #until = 0;

  /** Call between two steps: returns undefined to continue at once, or a promise of the next slice. */
  step(): Promise<void> | undefined {
    return performance.now() < this.#until ? undefined : this.#nextSlice();
  }

  async #nextSlice(): Promise<void> {
    await nextTurn();
    this.#until = performance.now() + sliceMs;
  }
}
