import { Frontier, Growth, type HashSink, type TreeHead } from '@kata-agent/tlog';
import type { Sealed } from '../chain/chain.js';
import type { RecordKind, TreeText } from '../record/record.js';

/**
 * The tree of one log of a transparency log (RFC 6962): a start of the agent. Its leaves are the records from its boot record on.
 * The hash of a leaf is that of its record in the chain, so that a record is hashed once.
 */
export class LogTree {
  /** The log's verifier key as text; undefined: nobody signs it. */
  readonly key: string | undefined;
  readonly #frontier = new Frontier();
  /** By the size at which they begin, with the number of their users: witnesses mostly are at one size. */
  readonly #growths = new Map<number, { readonly growth: Growth; users: number }>();
  #first = 0;

  constructor(key: string | undefined) {
    this.key = key;
  }

  /**
   * Records before the boot record are ignored, since readers know the beginning by that: a
   * segment that the last start has filled is closed before it, and a slow start can have a heartbeat.
   */
  append(kind: RecordKind, { sequence, hash }: Sealed['position']): void {
    if (this.size === 0 && kind !== 'boot') return;
    if (this.size === 0) this.#first = sequence;
    if (this.#growths.size === 0) this.#frontier.append(hash);
    else this.#frontier.append(hash, this.#store);
  }

  readonly #store: HashSink = (level, index, hash) => {
    for (const { growth } of this.#growths.values()) growth.store(level, index, hash);
  };

  /** Returns what proofs from the present size to later ones need; it costs each record a little until it is forgotten. */
  grow(): Growth {
    const shared = this.#growths.get(this.size) ?? { growth: new Growth(this.#frontier), users: 0 };
    shared.users += 1;
    this.#growths.set(this.size, shared);
    return shared.growth;
  }

  forget(growth: Growth): void {
    const shared = this.#growths.get(growth.from);
    if (shared === undefined) return;
    shared.users -= 1;
    if (shared.users === 0) this.#growths.delete(growth.from);
  }

  /** Sequence number of the record that is leaf 0; 0 if there is none. */
  get first(): number {
    return this.#first;
  }

  get size(): number {
    return this.#frontier.size;
  }

  head(): TreeHead {
    return this.#frontier.head();
  }

  /** What a `rotated` record says of a tree whose leaves have been removed; undefined if there are none. */
  text(): TreeText | undefined {
    const { first, key, size } = this;
    if (size === 0) return undefined;
    return { first, ...(key === undefined ? {} : { key }), frontier: this.#frontier.toString() };
  }
}
