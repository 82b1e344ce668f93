const firstMs = 1_000;
const longestMs = 60_000;

/**
 * Returns the time until the next attempt: at random below a window that doubles with each failure, so that many guests do
 * not return to a server at once (full jitter).
 *
 * @param failures in a row before the last one.
 * @param random at least 0, below 1.
 */
export function backoffMs(failures: number, random: number): number {
  return Math.ceil(random * Math.min(longestMs, firstMs * 2 ** failures));
}
