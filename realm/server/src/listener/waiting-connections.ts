import type { Socket } from 'node:net';

export interface WaitingLimits {
  readonly connections: number;
  /** Of one group of addresses. */
  readonly perAddress: number;
}

/** A connection that is not read until its turn has come. */
export interface WaitingConnection {
  readonly group: string;
  readonly begin: () => void;
}

/**
 * Connections that wait for a place, bounded. Groups of addresses take turns, so that one that sends many delays its own; within
 * a group the order is that of arrival.
 */
export class WaitingConnections {
  readonly #limits: WaitingLimits;
  /** In the order in which they were last served. */
  readonly #groups = new Map<string, Map<Socket, WaitingConnection>>();
  #size = 0;

  constructor(limits: WaitingLimits) {
    this.#limits = limits;
  }

  /** Adds a connection. False: too many wait already. */
  add(socket: Socket, waiting: WaitingConnection): boolean {
    const { connections, perAddress } = this.#limits;
    const group = this.#groups.get(waiting.group) ?? new Map<Socket, WaitingConnection>();
    if (this.#size >= connections || group.size >= perAddress) return false;
    this.#groups.set(waiting.group, group.set(socket, waiting));
    this.#size += 1;
    return true;
  }

  /** Removes and returns the next connection of a group that has a place. */
  next(hasPlace: (group: string) => boolean): readonly [Socket, WaitingConnection] | undefined {
    for (const [name, group] of this.#groups) {
      if (!hasPlace(name)) continue;
      const [found] = group;
      if (found === undefined) continue;
      this.remove(...found);
      if (group.size > 0) {
        this.#groups.delete(name);
        this.#groups.set(name, group);
      }
      return found;
    }
    return undefined;
  }

  /** Removes a connection, if it waits. */
  remove(socket: Socket, { group }: Pick<WaitingConnection, 'group'>): void {
    const sockets = this.#groups.get(group);
    if (sockets?.delete(socket) !== true) return;
    this.#size -= 1;
    if (sockets.size === 0) this.#groups.delete(group);
  }

  /** Returns those that wait now. */
  sockets(): readonly Socket[] {
    return [...this.#groups.values()].flatMap((group) => [...group.keys()]);
  }
}
