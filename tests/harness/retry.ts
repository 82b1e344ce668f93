import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

/** Retries for half a minute, enough for the slowest machine. */
const attempts = 600;
const intervalMs = 50;

/** The number of equal results that count as stable. */
const equalResults = 5;

/** Returns a result once several reads are equal: resources of a completed call are released later. */
export async function stableResult<Result>(read: () => Result): Promise<Result> {
  let last = read();
  for (let equal = 0, attempt = 0; attempt < attempts; attempt += 1) {
    await delay(intervalMs);
    const next = read();
    equal = isDeepStrictEqual(next, last) ? equal + 1 : 0;
    if (equal === equalResults) return last;
    last = next;
  }
  throw new Error(`the result does not become stable: ${JSON.stringify(last)}`);
}

/** Waits until a condition holds. */
export async function waitUntil(description: string, holds: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (holds()) return;
    await delay(intervalMs);
  }
  throw new Error(`timed out before ${description}`);
}

/** Repeats assertions until they hold; the last failure is thrown. */
export async function eventually(assertions: () => void): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      assertions();
      return;
    } catch (error) {
      if (attempt === attempts) throw error;
    }
    await delay(intervalMs);
  }
}
