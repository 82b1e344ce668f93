import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';

/** Each watcher reads the log for itself, and may hold removed segments open for a while. */
export const maxWatchers = 4;

interface Watcher {
  readonly connection: Caller;
  readonly end: () => void;
  replaced: boolean;
}

/**
 * The watchers of the audit log, by listener. A connection has one: a ttRPC client cannot cancel a call, so a new watch
 * on its connection is how it abandons the older one.
 */
export class Watchers {
  readonly #byListener = new Map<string, Set<Watcher>>();

  /**
   * Adds a watcher; the older one of its connection is told to end. A watcher counts until the function that is returned
   * is called, so one that cannot end, because its connection accepts nothing, still counts.
   *
   * @throws TtrpcError RESOURCE_EXHAUSTED if the listener has the maximum; the older watcher goes on then.
   */
  add(connection: Caller, end: () => void): () => void {
    const { listener } = connection;
    const watchers = this.#byListener.get(listener) ?? new Set();
    this.#byListener.set(listener, watchers);
    const older = [...watchers].find((watcher) => watcher.connection === connection && !watcher.replaced);
    if (watchers.size - (older === undefined ? 0 : 1) >= maxWatchers)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `listener ${JSON.stringify(listener)} has ${maxWatchers} watchers of the audit log, which is the limit; end one of them, or watch on another listener`,
      );
    if (older !== undefined) {
      older.replaced = true;
      older.end();
    }
    const watcher: Watcher = { connection, end, replaced: false };
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }
}
