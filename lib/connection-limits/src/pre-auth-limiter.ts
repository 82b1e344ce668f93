import { isIPv6, type Socket } from 'node:net';
import { MeasuredStream, Turns } from './measured-stream.js';

/** How long a group of addresses is turned away. */
const penaltyMs = 60_000;

/** More groups than this are forgotten, the first ones first. */
const maxPenalties = 1024;

/** More groups than this are forgotten, the first ones first. */
const defaultMost = 256;

/**
 * What a client may send before it is authenticated: enough for a chain of three certificates with RSA keys of 4,096 bits. The
 * worst chain of this size costs the event loop 50 ms.
 */
const handshakeBytes = 10 * 1024;

/** A client that was refused after more bytes has sent certificates: TLS reads no further client of its group by itself. */
const helloBytes = 2 * 1024;

/** One with a good certificate needs 3 ms. */
const defaultCostlyMs = 15;

export interface PreAuthOptions {
  /** A refused handshake that has cost the process more is costly. Absent: 15. */
  readonly costlyMs?: number;
  /** Shared by the listeners of a process. Absent: its own. */
  readonly turns?: Turns;
  /** The number of groups that are remembered. */
  readonly groups?: number;
}

/** Bounds what clients can make TLS do before they are authenticated, by groups of addresses. */
export class PreAuthLimiter {
  readonly #known: KnownGroups;
  readonly #turns: Turns;
  readonly #costlyMs: number;

  constructor({ costlyMs = defaultCostlyMs, turns = new Turns(), groups }: PreAuthOptions = {}) {
    this.#costlyMs = costlyMs;
    this.#turns = turns;
    this.#known = new KnownGroups(groups);
  }

  /**
   * Returns the bytes of a connection, of which nothing has been read, for TLS: in turns and within a budget; undefined if TLS may
   * read the socket itself, since a client of the group was authenticated. `onOversized` is called when more bytes arrive.
   */
  begin(group: string, socket: Socket, onOversized: () => void): MeasuredStream | undefined {
    if (this.#known.has(group)) return undefined;
    return new MeasuredStream(socket, { turns: this.#turns, budget: handshakeBytes, onOversized });
  }

  /** Notes that a client of the group was authenticated. */
  authenticated(group: string): void {
    this.#known.add(group);
  }

  /**
   * Notes that a client of the group was refused. Returns whether its handshake was so costly that the group must be turned away.
   *
   * @param received its bytes.
   * @param stream as `begin` has returned it.
   */
  refused(group: string, received: number, stream: MeasuredStream | undefined): boolean {
    const isCostly = wasCostly(received, stream, this.#costlyMs);
    if (isCostly || received > helloBytes) this.#known.bar(group);
    return isCostly;
  }

  /**
   * Notes that a client has shown a key, which nothing has verified. Returns whether its handshake was so costly that the group must be
   * turned away.
   *
   * @param received its bytes.
   * @param stream as `begin` has returned it.
   */
  shown(group: string, received: number, stream: MeasuredStream | undefined): boolean {
    if (stream !== undefined) return wasCostly(received, stream, this.#costlyMs);
    // TLS has read the socket itself, and perhaps a request that came with the end of the handshake: nobody knows what it cost.
    if (received > handshakeBytes) this.#known.bar(group);
    return false;
  }
}

function wasCostly(received: number, stream: MeasuredStream | undefined, costlyMs: number): boolean {
  if (stream === undefined) return received > handshakeBytes;
  // Without certificates it is not the client: what other threads do counts too, such as the collection of garbage.
  return received > helloBytes && stream.milliseconds > costlyMs;
}

/** Groups of addresses from which a client was authenticated, and none refused since. */
export class KnownGroups {
  readonly #groups = new Set<string>();
  readonly #barred = new Set<string>();
  readonly #max: number;

  constructor(max: number = defaultMost) {
    this.#max = max;
  }

  has(group: string): boolean {
    return this.#groups.has(group);
  }

  add(group: string): void {
    if (!this.#barred.has(group)) addBounded(this.#groups, group, this.#max);
  }

  /** Forgets a group, for good: a client of the same address could cost much each time that it was authenticated. */
  bar(group: string): void {
    this.#groups.delete(group);
    addBounded(this.#barred, group, this.#max);
  }
}

function addBounded(groups: Set<string>, group: string, max: number): void {
  groups.delete(group);
  groups.add(group);
  const [first] = groups;
  if (groups.size > max && first !== undefined) groups.delete(first);
}

/**
 * Returns the group of a remote address: connections of one group count as those of one client, which must not keep
 * others out. The owner of an IPv6 address mostly has its /64.
 */
export function addressGroup(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return isIPv6(plain) ? firstGroups(plain) : plain;
}

/** The first four groups of an IPv6 address, which may be abbreviated by `::`. */
function firstGroups(address: string): string {
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const leading = head === '' ? [] : head.split(':');
  const trailing = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - leading.length - trailing.length)).fill('0');
  return `${[...leading, ...zeros, ...trailing].slice(0, 4).join(':')}::/64`;
}

/** Groups of addresses whose clients cost too much before they were authenticated. Time is monotonic, in milliseconds. */
export class Penalties {
  readonly #until = new Map<string, number>();

  add(group: string, now: number): void {
    this.#until.delete(group);
    this.#until.set(group, now + penaltyMs);
    const [first] = this.#until.keys();
    if (this.#until.size > maxPenalties && first !== undefined) this.#until.delete(first);
  }

  has(group: string, now: number): boolean {
    const until = this.#until.get(group);
    if (until === undefined) return false;
    if (now < until) return true;
    this.#until.delete(group);
    return false;
  }
}
