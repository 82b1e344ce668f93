import { Frontier, leafHash, type TreeHead } from '@kata-agent/tlog';
import type { TreeText } from '../record/record.js';

/**
 * The tree of one log of a transparency log (RFC 6962): a start of the agent. Its leaves are the records from `first` on,
 * each the bytes of its line without the newline.
 */
export class LogTree {
  /** Sequence number of the record that is leaf 0. */
  readonly first: number;
  /** The log's verifier key as text; undefined: nobody signs it. */
  readonly key: string | undefined;
  readonly #frontier = new Frontier();

  constructor(first: number, key: string | undefined) {
    this.first = first;
    this.key = key;
  }

  /** `line` is ASCII with its newline. */
  append(line: string): void {
    this.#frontier.append(leafHash(line.slice(0, -1)));
  }

  get size(): number {
    return this.#frontier.size;
  }

  head(): TreeHead {
    return this.#frontier.head();
  }

  /** What a `rotated` record says of a tree whose leaves have been removed. */
  text(): TreeText {
    const { first, key } = this;
    return { first, ...(key === undefined ? {} : { key }), frontier: this.#frontier.toString() };
  }
}
