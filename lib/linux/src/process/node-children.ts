import { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** The diagnostics channel on which Node.js publishes each new child process. */
const channel = 'child_process';

/**
 * Tracks the children that Node.js waits for. If other code calls waitpid(2) on one of them, Node's `exit` event never
 * fires (docs/records/measurements.md, "Processes and stdio": 13 of 300 lost).
 *
 * Node.js publishes a child in its constructor, before it has a pid; spawning completes before any signal or event is
 * handled, so later readers see the pid. `spawnSync` is not published, and has already waited when it returns.
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

  /** Returns the pids of Node's current children. A child that could not be started has no pid and is dropped. */
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
