import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

/** Half a minute of them, for the slowest machine. */
const looks = 600;
const pauseMs = 50;

/** So many looks alike are rest. */
const alike = 5;

/** A state once it has been the same for some looks: what an answered call used is closed in its own time. */
export async function steady<State>(look: () => State): Promise<State> {
  let seen = look();
  for (let same = 0, count = 0; count < looks; count += 1) {
    await delay(pauseMs);
    const next = look();
    same = isDeepStrictEqual(next, seen) ? same + 1 : 0;
    if (same === alike) return seen;
    seen = next;
  }
  throw new Error(`it does not come to rest: ${JSON.stringify(seen)}`);
}

/** Waits for what comes about by itself. */
export async function until(what: string, comes: () => boolean): Promise<void> {
  for (let count = 0; count < looks; count += 1) {
    if (comes()) return;
    await delay(pauseMs);
  }
  throw new Error(`it does not come about: ${what}`);
}
