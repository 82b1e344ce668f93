import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { addressGroup } from './address-group.js';
import { tcpSocketOf } from './tls-peer.js';
import { type WaitingLimits, WaitingConnections } from './waiting-connections.js';

export interface Bounds {
  /** Connections at once. */
  readonly connections: number;
  /** Of these, connections that are not yet accepted: in their handshake, or before their request. */
  readonly pending: number;
  /** Of these, from one group of addresses. */
  readonly pendingPerAddress: number;
  /** Time until a connection is accepted. Before it one may wait as long for its place. */
  readonly pendingMs: number;
  /** Connections that wait until fewer are pending. */
  readonly waiting: WaitingLimits;
}

/** Bounds the connections of one listener before anything about their clients is known. */
export class ConnectionBounds {
  readonly #bounds: Bounds;
  readonly #onDrop: (group: string, why: 'overload' | 'timeout') => void;
  readonly #open = new Set<Socket>();
  readonly #pending = new Map<Socket, { readonly group: string; readonly timer: NodeJS.Timeout }>();
  readonly #ofGroup = new Map<string, number>();
  readonly #waiting: WaitingConnections;

  constructor(bounds: Bounds, onDrop: (group: string, why: 'overload' | 'timeout') => void) {
    this.#bounds = bounds;
    this.#onDrop = onDrop;
    this.#waiting = new WaitingConnections(bounds.waiting);
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * Takes a connection that was just accepted, and that is not read. Calls `begin` now, or once fewer are pending; or closes it.
   * Many clients of one address that come at once wait for each other: if they were turned away, each would come again much
   * later.
   */
  add(socket: Socket, begin: () => void): void {
    // Without an address the client has gone already.
    const group = socket.remoteAddress === undefined ? undefined : addressGroup(socket.remoteAddress);
    socket.on('error', () => undefined);
    if (group === undefined) {
      socket.destroy();
      return;
    }
    if (this.#hasPlace(group)) {
      this.#begin(socket, group, begin);
      return;
    }
    const late = this.#destroyLate(socket, group);
    const waiting = {
      group,
      begin: () => {
        clearTimeout(late);
        this.#begin(socket, group, begin);
      },
    };
    socket.once('close', () => {
      clearTimeout(late);
      this.#waiting.remove(socket, waiting);
    });
    if (this.#open.size < this.#bounds.connections && this.#waiting.add(socket, waiting)) return;
    socket.destroy();
    this.#onDrop(group, 'overload');
  }

  #begin(socket: Socket, group: string, begin: () => void): void {
    this.#open.add(socket);
    this.#pending.set(socket, { group, timer: this.#destroyLate(socket, group) });
    this.#ofGroup.set(group, (this.#ofGroup.get(group) ?? 0) + 1);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#settle(socket);
      this.#proceed();
    });
    begin();
  }

  #destroyLate(socket: Socket, group: string): NodeJS.Timeout {
    return setTimeout(() => {
      socket.destroy();
      this.#onDrop(group, 'timeout');
    }, this.#bounds.pendingMs);
  }

  /**
   * Takes a connection out of those that are not yet accepted. From now on the client may end its side, and still gets what
   * is sent to it; before, that would keep its place until the timeout.
   */
  accept(stream: TLSSocket): void {
    stream.allowHalfOpen = true;
    const socket = tcpSocketOf(stream);
    if (socket === undefined) return;
    this.#settle(socket);
    this.#proceed();
  }

  #settle(socket: Socket): void {
    const pending = this.#pending.get(socket);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    this.#pending.delete(socket);
    const left = (this.#ofGroup.get(pending.group) ?? 1) - 1;
    if (left === 0) this.#ofGroup.delete(pending.group);
    else this.#ofGroup.set(pending.group, left);
  }

  #proceed(): void {
    const next = (): ReturnType<WaitingConnections['next']> =>
      this.#waiting.next((group) => this.#hasPlace(group));
    for (let found = next(); found !== undefined; found = next()) {
      const [socket, { begin }] = found;
      if (!socket.destroyed) begin();
    }
  }

  /** Closes all connections, or those that are not yet accepted. */
  destroy(which: 'all' | 'pending'): void {
    const begun = which === 'all' ? this.#open : this.#pending.keys();
    for (const socket of [...this.#waiting.sockets(), ...begun]) socket.destroy();
  }

  #hasPlace(group: string): boolean {
    const { connections, pending, pendingPerAddress } = this.#bounds;
    return (
      this.#open.size < connections &&
      this.#pending.size < pending &&
      (this.#ofGroup.get(group) ?? 0) < pendingPerAddress
    );
  }
}
