import { backoffMs } from '@kata-agent/base';

const shortestMs = 1_000;
const longestMs = 60_000;

/**
 * The window after a connection that lasted: then the server has gone, or its replica, and with it perhaps thousands of guests. Of
 * 2,000 each costs the server 2.5 ms: half of this window.
 */
const lostMs = 10_000;

/**
 * Returns the time until the next attempt to dial.
 *
 * @param failures in a row before the last one.
 * @param lost Whether they follow a connection that lasted; otherwise there was none since the agent started.
 * @param random at least 0, below 1.
 */
export function dialBackoffMs(failures: number, lost: boolean, random: number): number {
  return backoffMs({ firstMs: lost ? lostMs : shortestMs, lastMs: longestMs }, failures, random);
}
