/** The maximum delay of setTimeout in ms; with a longer one it fires at once. */
const longestTimer = 2 ** 31 - 1;

/** A deadline on the monotonic clock, with a delay of any length. */
export class Deadline {
  readonly #at: number;
  readonly #fire: () => void;
  #timer: NodeJS.Timeout;

  /** Calls `fire` once, in `ms` milliseconds (above 0). */
  constructor(ms: number, fire: () => void) {
    this.#at = performance.now() + ms;
    this.#fire = fire;
    this.#timer = this.#arm(ms);
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }

  #arm(ms: number): NodeJS.Timeout {
    if (ms <= longestTimer) return setTimeout(this.#fire, Math.max(1, Math.ceil(ms)));
    return setTimeout(() => {
      this.#timer = this.#arm(this.#at - performance.now());
    }, longestTimer);
  }
}

/**
 * Converts a timeout from the wire, in nanoseconds, to milliseconds. Returns undefined for no timeout, 0 or less for an
 * expired one.
 */
export function timeoutFromWire(nano: bigint): number | undefined {
  return nano === 0n ? undefined : Number(nano) / 1e6;
}

/** Converts milliseconds to nanoseconds for the wire, an int64; never 0, which would mean no timeout. */
export function timeoutToWire(ms: number | undefined): bigint {
  if (ms === undefined) return 0n;
  const nano = Math.round(ms * 1e6);
  if (nano >= 2 ** 63) return 2n ** 63n - 1n;
  return nano < 1 ? 1n : BigInt(nano);
}
