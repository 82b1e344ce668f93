import { TokenBucket } from '@kata-agent/base';
/**
 * Returns a function that reports whether a message may be written: `burst` at once, then `perSecond`. It returns how many
 * were left out before this one, or undefined if this one is left out too.
 */
export function rationed(
  burst: number,
  perSecond: number,
  now: () => number = () => performance.now(),
): () => number | undefined {
  const bucket = new TokenBucket({ burst, perSecond }, now());
  let omitted = 0;
  return () => {
    if (!bucket.take(now())) {
      omitted += 1;
      return undefined;
    }
    const before = omitted;
    omitted = 0;
    return before;
  };
}
