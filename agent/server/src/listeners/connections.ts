import type { Duplex } from 'node:stream';
import type { Caller } from '../caller/caller.js';

/** The open connections of an agent. */
export class Connections {
  readonly #streams = new Map<Caller, Duplex>();

  /** Adds a connection until it closes. */
  add(caller: Caller, stream: Duplex): void {
    this.#streams.set(caller, stream);
    stream.once('close', () => this.#streams.delete(caller));
  }

  /** Returns the number of connections of a listener. */
  count(listener: string): number {
    let count = 0;
    for (const caller of this.#streams.keys()) if (caller.listener === listener) count += 1;
    return count;
  }

  /** Closes a connection at once: its calls fail. */
  close(caller: Caller): void {
    this.#streams.get(caller)?.destroy();
  }
}
