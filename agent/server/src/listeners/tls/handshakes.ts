import { performance } from 'node:perf_hooks';
import { TokenBucket } from '@kata-agent/base';
import { Penalties } from '@kata-agent/connection-limits';

export interface HandshakeLimits {
  /** The maximum of concurrent handshakes. */
  readonly handshakes: number;
  readonly handshakesPerSecond: number;
  readonly handshakeTimeoutMs: number;
}

/** A connection before it is authenticated. */
export interface Candidate {
  /** Connections of one group count as those of one client: see `addressGroup`. */
  readonly group: string;
  /** Begins the handshake. */
  begin(): void;
  /** Closes the connection. */
  drop(reason: 'overload' | 'timeout' | 'penalty' | 'oversized'): void;
}

/**
 * Connections that wait for a handshake. Each costs a descriptor and a few KB, and none is read: what its client sent
 * waits in the kernel.
 */
const places = 64;

/**
 * How long a handshake is undisturbed although others wait. It takes one round trip and a few milliseconds; a client that
 * needs longer loses its place to those that wait, and keeps it until handshakeTimeoutMs if none does.
 */
const graceMs = 2000;

/**
 * Bounds handshakes, at once and per second, before anything about a client is known.
 *
 * Node.js cannot pause accept(2) without closing the listening socket, so that connections beyond the limits do not stay
 * in the kernel's backlog: they are accepted and wait here, unread, and beyond `places` the longest waiting is closed.
 */
export class Handshakes {
  readonly #limits: HandshakeLimits;
  readonly #bucket: TokenBucket;
  readonly #waiting = new WaitingRoom<Candidate>(places);
  /** When each began, in that order. */
  readonly #active = new Map<Candidate, number>();
  readonly #activeOfGroup = new Map<string, number>();
  readonly #patience = new Map<Candidate, NodeJS.Timeout>();
  readonly #penalties = new Penalties();
  #wake: NodeJS.Timeout | undefined;

  constructor(limits: HandshakeLimits) {
    this.#limits = limits;
    this.#bucket = bucketOf(limits.handshakesPerSecond);
  }

  get active(): number {
    return this.#active.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Begins a handshake now or later, or drops a connection: this one or another. */
  add(candidate: Candidate): void {
    if (this.#penalties.has(candidate.group, performance.now())) {
      candidate.drop('penalty');
      return;
    }
    const dropped = this.#waiting.add(candidate.group, candidate);
    this.#patience.set(
      candidate,
      this.#later(this.#limits.handshakeTimeoutMs, () => this.#giveUp(candidate)),
    );
    if (dropped !== undefined) {
      this.#forget(dropped);
      dropped.drop('overload');
    }
    this.#proceed();
  }

  /**
   * Frees the place of a connection: its handshake has ended, or it has closed. If it was refused and costly, all connections of
   * its group are closed, and the group is turned away for a minute.
   */
  remove(candidate: Candidate, isCostly = false): void {
    if (this.#active.has(candidate) && isCostly) this.#punish(candidate);
    this.#forget(candidate);
    this.#waiting.remove(candidate.group, candidate);
    if (this.#release(candidate)) this.#proceed();
  }

  #punish(candidate: Candidate): void {
    const { group } = candidate;
    this.#penalties.add(group, performance.now());
    const others = [...this.#active.keys()].filter((each) => each !== candidate && each.group === group);
    for (const other of others) {
      this.#release(other);
      other.drop('penalty');
    }
  }

  #proceed(): void {
    clearTimeout(this.#wake);
    while (this.#waiting.size > 0) {
      const wait = this.#roomAfter();
      if (wait > 0) {
        this.#wake = this.#later(wait, () => this.#proceed());
        return;
      }
      const candidate = this.#waiting.next((group) => this.#activeOf(group));
      if (candidate === undefined) return;
      this.#forget(candidate);
      if (this.#penalties.has(candidate.group, performance.now())) {
        candidate.drop('penalty');
        continue;
      }
      this.#bucket.take(performance.now());
      this.#active.set(candidate, performance.now());
      this.#activeOfGroup.set(candidate.group, this.#activeOf(candidate.group) + 1);
      candidate.begin();
    }
  }

  /** Returns 0 if a handshake may begin, otherwise the milliseconds after which to ask again. */
  #roomAfter(): number {
    const now = performance.now();
    const wait = this.#bucket.waitMs(now);
    if (wait > 0 || this.#active.size < this.#limits.handshakes) return wait;
    const slowest = this.#slowest();
    if (slowest === undefined) return graceMs;
    const rest = slowest.since + graceMs - now;
    if (rest > 0) return Math.ceil(rest);
    this.#release(slowest.candidate);
    slowest.candidate.drop('timeout');
    return 0;
  }

  #release(candidate: Candidate): boolean {
    if (!this.#active.delete(candidate)) return false;
    const left = this.#activeOf(candidate.group) - 1;
    if (left === 0) this.#activeOfGroup.delete(candidate.group);
    else this.#activeOfGroup.set(candidate.group, left);
    return true;
  }

  /** The oldest handshake of the group with the most. */
  #slowest(): { candidate: Candidate; since: number } | undefined {
    let found: { candidate: Candidate; since: number } | undefined;
    for (const [candidate, since] of this.#active)
      if (found === undefined || this.#activeOf(candidate.group) > this.#activeOf(found.candidate.group))
        found = { candidate, since };
    return found;
  }

  #giveUp(candidate: Candidate): void {
    this.remove(candidate);
    candidate.drop('overload');
  }

  #activeOf(group: string): number {
    return this.#activeOfGroup.get(group) ?? 0;
  }

  #forget(candidate: Candidate): void {
    clearTimeout(this.#patience.get(candidate));
    this.#patience.delete(candidate);
  }

  #later(milliseconds: number, work: () => void): NodeJS.Timeout {
    return setTimeout(work, milliseconds).unref();
  }
}

/** Returns a bucket with a burst of one second's events. */
export function bucketOf(perSecond: number): TokenBucket {
  return new TokenBucket({ burst: perSecond, perSecond }, performance.now());
}

/**
 * Connections that wait for a handshake, bounded, by group.
 *
 * The group with the fewest handshakes is next, then the one that has waited longest for its turn: a flood from one
 * group delays its own connections only. Within a group the newest is next and the oldest is dropped when all places are
 * taken: in a flood of connections that say nothing, the oldest have waited in vain, and a client that just arrived gets
 * its turn at once instead of after all of them.
 */
export class WaitingRoom<T> {
  readonly #places: number;
  /** In the order in which they were last served. */
  readonly #groups = new Map<string, T[]>();
  #size = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a connection. Returns the one that is dropped for it, if the room is full. */
  add(group: string, item: T): T | undefined {
    const items = this.#groups.get(group);
    if (items === undefined) this.#groups.set(group, [item]);
    else items.push(item);
    this.#size += 1;
    return this.#size > this.#places ? this.#dropOldest() : undefined;
  }

  /** Removes and returns the next connection. `active` returns the number of handshakes of a group. */
  next(active: (group: string) => number): T | undefined {
    let chosen: string | undefined;
    for (const group of this.#groups.keys())
      if (chosen === undefined || active(group) < active(chosen)) chosen = group;
    if (chosen === undefined) return undefined;
    const items = this.#groups.get(chosen) ?? [];
    const item = items.pop();
    this.#size -= 1;
    this.#groups.delete(chosen);
    if (items.length > 0) this.#groups.set(chosen, items);
    return item;
  }

  /** Removes a connection that is no longer interested. */
  remove(group: string, item: T): void {
    const items = this.#groups.get(group);
    const index = items?.indexOf(item) ?? -1;
    if (items === undefined || index < 0) return;
    items.splice(index, 1);
    this.#size -= 1;
    if (items.length === 0) this.#groups.delete(group);
  }

  #dropOldest(): T | undefined {
    let largest: [string, T[]] | undefined;
    for (const entry of this.#groups)
      if (largest === undefined || entry[1].length > largest[1].length) largest = entry;
    if (largest === undefined) return undefined;
    const [group, [oldest]] = largest;
    if (oldest !== undefined) this.remove(group, oldest);
    return oldest;
  }
}
