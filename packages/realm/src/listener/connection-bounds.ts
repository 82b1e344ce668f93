import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { addressGroup } from './address-group.js';
import { tcpSocketOf } from './tls-peer.js';

export interface Bounds {
  /** Connections at once. */
  readonly connections: number;
  /** Of these, connections that are not yet accepted: in their handshake, or before their request. */
  readonly pending: number;
  /** Of these, from one group of addresses. */
  readonly pendingPerAddress: number;
  /** Time from accept(2) until a connection is accepted. */
  readonly pendingMs: number;
}

/** Bounds the connections of one listener before anything about their clients is known. */
export class ConnectionBounds {
  readonly #bounds: Bounds;
  readonly #onDrop: (group: string, why: 'overload' | 'timeout') => void;
  readonly #open = new Set<Socket>();
  readonly #pending = new Map<Socket, { readonly group: string; readonly timer: NodeJS.Timeout }>();
  readonly #ofGroup = new Map<string, number>();

  constructor(bounds: Bounds, onDrop: (group: string, why: 'overload' | 'timeout') => void) {
    this.#bounds = bounds;
    this.#onDrop = onDrop;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Takes a connection that was just accepted. False: it was closed. */
  add(socket: Socket): boolean {
    // Without an address the client has gone already.
    const group = socket.remoteAddress === undefined ? undefined : addressGroup(socket.remoteAddress);
    socket.on('error', () => undefined);
    if (group === undefined || this.#isFull(group)) {
      socket.destroy();
      if (group !== undefined) this.#onDrop(group, 'overload');
      return false;
    }
    const timer = setTimeout(() => {
      socket.destroy();
      this.#onDrop(group, 'timeout');
    }, this.#bounds.pendingMs);
    this.#open.add(socket);
    this.#pending.set(socket, { group, timer });
    this.#ofGroup.set(group, (this.#ofGroup.get(group) ?? 0) + 1);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#settle(socket);
    });
    return true;
  }

  /**
   * Takes a connection out of those that are not yet accepted. From now on the client may end its side, and still gets what
   * is sent to it; before, that would keep its place until the timeout.
   */
  accept(stream: TLSSocket): void {
    stream.allowHalfOpen = true;
    const socket = tcpSocketOf(stream);
    if (socket !== undefined) this.#settle(socket);
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

  /** Closes all connections, or those that are not yet accepted. */
  destroy(which: 'all' | 'pending'): void {
    for (const socket of which === 'all' ? this.#open : this.#pending.keys()) socket.destroy();
  }

  #isFull(group: string): boolean {
    const { connections, pending, pendingPerAddress } = this.#bounds;
    return (
      this.#open.size >= connections ||
      this.#pending.size >= pending ||
      (this.#ofGroup.get(group) ?? 0) >= pendingPerAddress
    );
  }
}
