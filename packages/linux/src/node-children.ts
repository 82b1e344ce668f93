import { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** Node's own name for the announcement of each new child process, whatever part of the program makes it. */
const channel = 'child_process';

/**
 * The children that Node waits for itself. Somebody who calls waitpid(2) on one of them takes its exit away: Node's
 * `exit` event would never come (docs/measurements.md, "Processes and stdio": 13 of 300 lost).
 *
 * Node announces a child in its constructor, when it has no pid yet; spawning is over before any signal or event is
 * handled, so that whoever asks later sees the pid. `spawnSync` is never seen here and need not be: it has waited before
 * it returns.
 */
export class NodeChildren {
  readonly #children: Set<ChildProcess> = new Set();
  readonly #announced = (message: unknown): void => {
    if (!(message instanceof Object && 'process' in message && message.process instanceof ChildProcess))
      return;
    const child = message.process;
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
  };

  constructor() {
    subscribe(channel, this.#announced);
  }

  /** Pids that are Node's now. A child that could not be started has none and is forgotten. */
  pids(): ReadonlySet<number> {
    const pids = new Set<number>();
    for (const child of this.#children) {
      if (child.pid === undefined) this.#children.delete(child);
      else pids.add(child.pid);
    }
    return pids;
  }

  stop(): void {
    unsubscribe(channel, this.#announced);
    this.#children.clear();
  }
}
