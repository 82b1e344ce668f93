import { FairQueue, FairSlots } from '@kata-agent/connection-limits/fair';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { type Caller, callerKey } from '../caller.js';

/** Further work of one caller than this is refused. */
const maxWaiting = 8;

/** Of one caller. Each watcher reads the log for itself, and may hold removed segments open for a while. */
export const maxWatchers = 4;

/** Of all callers of a listener, without the server that it has dialled: more callers than these at once are refused. */
const maxOfListener = 16;

interface Watcher {
  readonly connection: Caller;
  readonly end: () => void;
  replaced: boolean;
}

/**
 * The watchers of the audit log, by listener. A connection has one: a ttRPC client cannot cancel a call, so a new watch
 * on its connection is how it abandons the older one. Places are shared by callers: one that has many loses one to another caller
 * that has fewer. The server that a listener has dialled has its own (S44).
 */
export class Watchers {
  readonly #watchers = new Set<Watcher>();
  readonly #ofListener = new Map<string, FairSlots>();
  readonly #ofServers = new Map<string, FairSlots>();

  /**
   * Adds a watcher; the older one of its connection is ended. A watcher counts until the function that is returned
   * is called, so one that cannot end, because its connection accepts nothing, still counts.
   *
   * @param end ends the watcher: a newer one of its connection replaces it, or another caller gets its place.
   * @throws TtrpcError RESOURCE_EXHAUSTED if the caller has the maximum, or all callers together; the older watcher continues then.
   */
  add(connection: Caller, end: (why: 'replaced' | 'crowded') => void): () => void {
    const { listener } = connection;
    const older = [...this.#watchers].find((each) => each.connection === connection && !each.replaced);
    const places = this.#placesOf(connection);
    const watcher: Watcher = { connection, end: () => end('replaced'), replaced: false };
    const crowd = (): void => {
      watcher.replaced = true;
      end('crowded');
    };
    const release = places.take(callerKey(connection), crowd, older === undefined ? 0 : 1);
    if (release === undefined)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `the caller has ${maxWatchers} watchers of the audit log on listener ${JSON.stringify(listener)}, or all have ${maxOfListener}, which is the limit; end one of them, or watch on another listener`,
      );
    if (older !== undefined) {
      older.replaced = true;
      older.end();
    }
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
      release();
    };
  }

  #placesOf({ listener, realm }: Caller): FairSlots {
    const all = realm === undefined ? this.#ofListener : this.#ofServers;
    const places = all.get(listener) ?? new FairSlots({ total: maxOfListener, ofKey: maxWatchers });
    all.set(listener, places);
    return places;
  }
}

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
