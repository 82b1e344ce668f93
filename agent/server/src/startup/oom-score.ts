import { writeFileSync } from 'node:fs';
import type { Log } from '../log.js';

/** The kernel prefers other processes, but may still kill this one (S20). */
const score = '-999';

/**
 * Lowers the agent's OOM score: an OOM kill of the agent would end the pod. Containers do not inherit it, since every
 * process spec sets its own. Without permission it logs a warning.
 */
export function protectFromOomKiller(log: Log, proc: string = '/proc'): void {
  try {
    writeFileSync(`${proc}/self/oom_score_adj`, score);
  } catch (error) {
    log('warn', 'the OOM score was not changed', { wanted: score, error: (error as Error).message });
  }
}
