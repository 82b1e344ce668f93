/** The longest time setTimeout knows: one millisecond more and it fires at once. */
const longestTimer = 2 ** 31 - 1;

/** A deadline on the monotonic clock, of any distance. */
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

/** Nanoseconds of the wire in milliseconds: undefined for none, 0 or less when it is past. */
export function timeoutFromWire(nano: bigint): number | undefined {
  return nano === 0n ? undefined : Number(nano) / 1e6;
}

/** Milliseconds in nanoseconds for the wire; as int64, and never 0, which would mean none. */
export function timeoutToWire(ms: number | undefined): bigint {
  if (ms === undefined) return 0n;
  const nano = Math.round(ms * 1e6);
  if (nano >= 2 ** 63) return 2n ** 63n - 1n;
  return nano < 1 ? 1n : BigInt(nano);
}
