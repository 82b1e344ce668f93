/** The log's source of time; tests replace it. */
export interface Clock {
  /** Nanoseconds on the monotonic clock. */
  monotonic(): bigint;
  /** Milliseconds since 1970. */
  wall(): number;
  /** Calls `run` once after `ms`, without keeping the process alive. Returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  monotonic: () => process.hrtime.bigint(),
  wall: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};
