import { writeFileSync } from 'node:fs';
import type { Log } from './log.js';

/** The kernel takes another process first, but is not forbidden to take this one (S20). */
const score = '-999';

/**
 * Keeps the agent from being the one that ends when memory is short: with it the pod would. Containers do not inherit
 * it, since a process of the wire's spec always says its own. Without the right to lower a score, a warning.
 */
export function protectFromOomKiller(log: Log, proc: string = '/proc'): void {
  try {
    writeFileSync(`${proc}/self/oom_score_adj`, score);
  } catch (error) {
    log('warn', 'the OOM score stays as it is', { wanted: score, error: (error as Error).message });
  }
}
