import { performance } from 'node:perf_hooks';

/**
 * Keep-alive of TCP, where nothing may be sent for hours: the kernel asks the other end of a silent connection after this time, ten
 * times within ten seconds.
 */
export const keepAliveMs = 30_000;

/**
 * Sent bytes that the other end does not acknowledge, or take, for this time end a connection. Keep-alive does not act
 * meanwhile, and the kernel alone would try for about 15 minutes. A little longer than keep-alive needs for a silent connection.
 */
export const unacknowledgedMs = 45_000;

/** setTimeout fires at once for longer times. */
const maxTimeoutMs = 2 ** 31 - 1;

/**
 * Calls `work` after a time of any length, measured by the monotonic clock, which cannot be set. Returns a function that
 * cancels it. The timer does not keep the process alive.
 */
export function callAtEnd(
  milliseconds: number,
  work: () => void,
  timers: Pick<typeof globalThis, 'setTimeout' | 'clearTimeout'> & { now: () => number } = realTimers,
): () => void {
  const end = timers.now() + milliseconds;
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const rest = end - timers.now();
    if (rest <= 0) work();
    else timer = timers.setTimeout(arm, Math.min(Math.ceil(rest), maxTimeoutMs)).unref();
  };
  timer = timers.setTimeout(arm, Math.min(Math.max(0, Math.ceil(milliseconds)), maxTimeoutMs)).unref();
  return () => timers.clearTimeout(timer);
}

const realTimers = { setTimeout, clearTimeout, now: (): number => performance.now() };
