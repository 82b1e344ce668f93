import type { Duplex } from 'node:stream';
import { onDoublings } from '@kata-agent/base';
import type { ListenerSettings } from '@kata-agent/config';
import type { Log } from '../log.js';

/** Counts the connections of a listener, and closes those beyond its limit at once (S17). */
export class ConnectionLimit {
  readonly #limit: number;
  readonly #report: () => void;
  #open = 0;

  constructor({ name, limits }: Pick<ListenerSettings, 'name' | 'limits'>, log: Log) {
    this.#limit = limits.connections;
    this.#report = onDoublings((turnedAway) =>
      log('warn', 'connections over the limit closed', { listener: name, limit: this.#limit, turnedAway }),
    );
  }

  /** Closes a connection if there are as many as may be. Returns whether it did. */
  closes(stream: Duplex): boolean {
    if (this.#open < this.#limit) return false;
    this.#report();
    stream.destroy();
    return true;
  }

  /** Counts a connection until it closes. */
  add(stream: Duplex): void {
    this.#open += 1;
    stream.once('close', () => {
      this.#open -= 1;
    });
  }
}
