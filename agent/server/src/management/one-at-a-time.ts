import { FairQueue } from '@kata-agent/connection-limits/fair';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';
import { callerKey } from '../caller/caller-key.js';

/** Further work of one caller than this is refused. */
const maxWaiting = 8;

/**
 * Runs work that reads much, one at a time: each caller could otherwise have the agent do it as often as it asks. Callers take turns,
 * and the server that a listener has dialled precedes all waiting callers (S44).
 */
export class OneAtATime {
  readonly #queue = new FairQueue(maxWaiting);

  /** Runs work in the turn of its caller. Throws a TtrpcError RESOURCE_EXHAUSTED if too much of that caller waits. */
  async run<T>(caller: Pick<Caller, 'listener' | 'identity' | 'realm'>, work: () => Promise<T>): Promise<T> {
    const key = `${caller.listener} ${callerKey(caller)}`;
    const running = this.#queue.run(key, work, caller.realm !== undefined);
    if (running === undefined)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `${maxWaiting} calls of this caller wait for a proof; try again`,
      );
    return await running;
  }
}
