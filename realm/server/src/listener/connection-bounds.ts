import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { addressGroup, type MeasuredStream, Penalties, PreAuthLimiter } from '@kata-agent/connection-limits';

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

/** Why a connection was closed before it was accepted. */
export type Drop = 'overload' | 'timeout' | 'penalty' | 'oversized';

/** What is said of it. */
export const dropTexts: Readonly<Record<Drop, string>> = {
  overload: 'too many connections are not yet accepted',
  timeout: 'it was too slow',
  penalty: 'verifying a client of this address took too long, less than a minute ago',
  oversized: 'the client sent more than 10 KiB before its handshake had ended',
};

/** A connection in its handshake keeps its place for this time. */
const graceMs = 2_000;

interface Pending {
  readonly group: string;
  readonly since: number;
  readonly timer: NodeJS.Timeout;
  inHandshake: boolean;
  /** Absent: TLS reads the socket itself. */
  readonly stream: MeasuredStream | undefined;
}

/** Bounds the connections of one listener before anything about their clients is known. */
export class ConnectionBounds {
  readonly #bounds: Bounds;
  readonly #onDrop: (group: string, why: Drop) => void;
  readonly #onAccept: (socket: Socket) => void;
  readonly #open = new Set<Socket>();
  /** The oldest first. */
  readonly #pending = new Map<Socket, Pending>();
  readonly #ofGroup = new Map<string, number>();
  readonly #waiting: WaitingConnections;
  readonly #penalties = new Penalties();
  readonly #dropped = new WeakSet<Socket>();
  readonly #preAuth: PreAuthLimiter;

  constructor(
    bounds: Bounds,
    onDrop: (group: string, why: Drop) => void,
    /** Is called with each connection whose client is accepted. */
    onAccept: (socket: Socket) => void,
  ) {
    this.#bounds = bounds;
    this.#onDrop = onDrop;
    this.#onAccept = onAccept;
    this.#waiting = new WaitingConnections(bounds.waiting);
    this.#preAuth = new PreAuthLimiter({ groups: bounds.connections });
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * Takes a connection that was just accepted, and that is not read. Calls `begin` with its bytes for TLS, now, or once fewer are
   * pending; or closes it. Of an unauthenticated client TLS gets no more than a handshake needs, one client at a time. Many clients of one address that come at once wait for each other: if they were turned away, each would come again much
   * later.
   */
  add(socket: Socket, begin: (stream: Duplex) => void): void {
    // Without an address the client has gone already.
    const group = socket.remoteAddress === undefined ? undefined : addressGroup(socket.remoteAddress);
    socket.on('error', () => undefined);
    if (group === undefined) {
      socket.destroy();
      return;
    }
    if (this.#isPenalized(group) || this.#hasPlace(group) || this.#makesPlace(group)) {
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

  #begin(socket: Socket, group: string, begin: (stream: Duplex) => void): void {
    if (this.#isPenalized(group)) {
      socket.destroy();
      this.#onDrop(group, 'penalty');
      return;
    }
    this.#open.add(socket);
    const timer = this.#destroyLate(socket, group);
    const stream = this.#preAuth.begin(group, socket, () => this.#drop(socket, 'oversized'));
    this.#pending.set(socket, { group, timer, since: performance.now(), inHandshake: true, stream });
    this.#ofGroup.set(group, this.#countOf(group) + 1);
    socket.once('close', () => {
      this.#open.delete(socket);
      if (this.#pending.get(socket)?.inHandshake === true) this.#refused(socket);
      this.#settle(socket);
      this.#proceed();
    });
    begin(stream ?? socket);
  }

  #destroyLate(socket: Socket, group: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.#dropped.add(socket);
      socket.destroy();
      this.#onDrop(group, 'timeout');
    }, this.#bounds.pendingMs);
  }

  /**
   * Notes that the handshake of a connection has ended. `client`: TLS has verified it, or it has any key, or was refused. False:
   * its client is not verified, and verifying it took too long. Then all connections of its addresses that are not yet accepted are
   * closed, and they are turned away for a minute.
   */
  handshaken(socket: Socket, client: 'verified' | 'any' | 'refused'): boolean {
    const pending = this.#pending.get(socket);
    if (pending?.inHandshake !== true) return true;
    pending.inHandshake = false;
    if (client === 'refused') return this.#refused(socket);
    if (client === 'any' && this.#preAuth.shown(pending.group, socket.bytesRead, pending.stream))
      return this.#punish(pending);
    pending.stream?.release();
    return true;
  }

  /** Reports whether the connection was closed here, which was reported. */
  hasDropped(socket: Socket): boolean {
    return this.#dropped.has(socket);
  }

  /** Takes a connection out of those that are not yet accepted. */
  accept(socket: Socket): void {
    const group = this.#pending.get(socket)?.group;
    if (group !== undefined) this.#preAuth.authenticated(group);
    this.#onAccept(socket);
    this.#settle(socket);
    this.#proceed();
  }

  /** Notes that a client was refused in its handshake. Returns false, and turns the address away, if that was costly. */
  #refused(socket: Socket): boolean {
    const pending = this.#pending.get(socket);
    if (pending === undefined) return true;
    const isCostly = this.#preAuth.refused(pending.group, socket.bytesRead, pending.stream);
    return isCostly ? this.#punish(pending) : true;
  }

  #punish({ group }: Pending): false {
    this.#penalties.add(group, performance.now());
    // Before they cost as much.
    for (const [other, { group: of }] of this.#pending) if (of === group) this.#drop(other, 'penalty');
    return false;
  }

  #settle(socket: Socket): void {
    const pending = this.#pending.get(socket);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    this.#pending.delete(socket);
    const left = this.#countOf(pending.group) - 1;
    if (left === 0) this.#ofGroup.delete(pending.group);
    else this.#ofGroup.set(pending.group, left);
  }

  #drop(socket: Socket, why: Drop): void {
    const pending = this.#pending.get(socket);
    if (pending === undefined) return;
    if (pending.inHandshake) this.#preAuth.refused(pending.group, socket.bytesRead, pending.stream);
    this.#settle(socket);
    this.#dropped.add(socket);
    // Node.js 20 crashes if the connection below is destroyed while TLS reports the end of its handshake, and has more bytes.
    setImmediate(() => socket.destroy());
    this.#onDrop(pending.group, why);
  }

  #proceed(): void {
    const next = (): ReturnType<WaitingConnections['next']> =>
      this.#waiting.next((group) => this.#isPenalized(group) || this.#hasPlace(group));
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
      this.#countOf(group) < pendingPerAddress
    );
  }

  /**
   * Closes another connection for one of a group that has no place. A group with many gives way to one with few, at once; otherwise
   * only one that has had time enough for its handshake. Returns whether there is a place now.
   */
  #makesPlace(group: string): boolean {
    const { connections, pendingPerAddress } = this.#bounds;
    const own = this.#countOf(group);
    if (this.#open.size >= connections) return false;
    if (own >= pendingPerAddress) return this.#dropSlow((pending) => pending.group === group);
    let [largest, count] = [group, own];
    for (const each of this.#ofGroup) if (each[1] > count) [largest, count] = each;
    if (count <= own + 1) return this.#dropSlow(() => true);
    const [oldest] = [...this.#pending].find(([, pending]) => pending.group === largest) ?? [];
    if (oldest !== undefined) this.#drop(oldest, 'timeout');
    return oldest !== undefined;
  }

  /** Closes the oldest connection of some, if it is slow. */
  #dropSlow(of: (pending: Pending) => boolean): boolean {
    const [oldest, pending] = [...this.#pending].find(([, each]) => of(each) && each.inHandshake) ?? [];
    if (oldest === undefined || pending === undefined) return false;
    if (performance.now() - pending.since < graceMs) return false;
    this.#drop(oldest, 'timeout');
    return true;
  }

  #isPenalized(group: string): boolean {
    return this.#penalties.has(group, performance.now());
  }

  #countOf(group: string): number {
    return this.#ofGroup.get(group) ?? 0;
  }
}

interface WaitingLimits {
  readonly connections: number;
  /** Of one group of addresses. */
  readonly perAddress: number;
}

/** A connection that is not read until its turn has come. */
interface WaitingConnection {
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
