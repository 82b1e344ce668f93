import { setImmediate } from 'node:timers/promises';

/** A walk has the event loop for so long at a time, in milliseconds: a tenth of what another call may wait (S36). */
const sliceMs = 5;

/** The turn that was given out last. */
let last: Promise<void> = Promise.resolve();

/** The next turn of the event loop that no other walk has: many walks at once take no longer slices than one. */
function nextTurn(): Promise<void> {
  last = last.then(() => setImmediate());
  return last;
}

/**
 * Divides long work into slices, with a turn of the event loop between them, in which all other work has its turn. The
 * first slice begins with a turn as well: who starts many walks at once is not held up by their beginnings.
 */
export class Pace {
  #until = 0;

  /** Call between two steps: undefined to go on at once, or a promise of the next slice. */
  step(): Promise<void> | undefined {
    return performance.now() < this.#until ? undefined : this.#nextSlice();
  }

  async #nextSlice(): Promise<void> {
    await nextTurn();
    this.#until = performance.now() + sliceMs;
  }
}
