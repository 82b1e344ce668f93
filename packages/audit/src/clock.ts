/** The time as the log sees it; tests bring their own. */
export interface Clock {
  /** Nanoseconds on the system's monotonic clock. */
  monotonic(): bigint;
  /** Milliseconds since 1970. */
  wall(): number;
  /** Calls `run` once after `ms`, without keeping the process alive. The result cancels it. */
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
