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

/** Runs a check until it throws no more, for ten seconds at most. */
export async function eventually(check: () => void | Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await check();
    } catch (error) {
      if (attempt * intervalMs >= 10_000) throw error;
      await delay(intervalMs);
    }
  }
}
