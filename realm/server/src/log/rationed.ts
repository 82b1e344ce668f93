/**
 * Returns a function that reports whether a message may be written: `burst` at once, then `perSecond`. It returns how many
 * were left out before this one, or undefined if this one is left out too.
 */
export function rationed(
  burst: number,
  perSecond: number,
  now: () => number = () => performance.now(),
): () => number | undefined {
  let left = burst;
  let filledAt = now();
  let omitted = 0;
  return () => {
    const time = now();
    left = Math.min(burst, left + ((time - filledAt) / 1_000) * perSecond);
    filledAt = time;
    if (left < 1) {
      omitted += 1;
      return undefined;
    }
    left -= 1;
    const before = omitted;
    omitted = 0;
    return before;
  };
}
