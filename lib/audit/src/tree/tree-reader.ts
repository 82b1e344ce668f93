import {
  Frontier,
  hashOfRange,
  type HashSource,
  type LogVerifier,
  parseAgentLogVerifier,
  TextFormError,
  type TreeHash,
  type TreeHead,
} from '@kata-agent/tlog';
import { lineHashes } from '../chain/chain.js';
import type { AuditRecord, BootRecord, RemovedSummary } from '../record/record.js';

interface Part {
  readonly first: number;
  readonly boot: BootRecord | undefined;
  readonly leaves: TreeHash[];
}

/**
 * Builds the trees of a log that is fed to it line by line, oldest first: one for each start of the agent. Does no I/O. What a
 * line says is not believed: a changed one is a leaf as well, of another hash.
 */
export class TreeReader {
  readonly #parts: Part[] = [];
  readonly #removals: RemovedSummary[] = [];

  /** `record` is undefined for a line that is not one. */
  line(bytes: Buffer, record: AuditRecord | undefined): void {
    const last = this.#parts.at(-1);
    const { leaf } = lineHashes(bytes);
    const boot = record?.kind === 'boot' ? record : undefined;
    if (boot !== undefined || last === undefined)
      this.#parts.push({ first: record?.sequence ?? 0, boot, leaves: [leaf] });
    else last.leaves.push(leaf);
    if (record?.kind === 'rotated' && record.removed !== undefined) this.#removals.push(record.removed);
  }

  /** Returns the trees, oldest first. Of the first one that is left out whose beginning is unknown. */
  trees(): readonly LoggedTree[] {
    return this.#parts.flatMap(({ first, boot, leaves }) => {
      if (boot !== undefined) return new LoggedTree({ first, key: keyOf(boot.logKey), leaves });
      const removed = this.#removals.find(({ last }) => last.sequence === first - 1)?.tree;
      const frontier = frontierOf(removed?.frontier);
      return removed === undefined || frontier?.size !== first - removed.first
        ? []
        : new LoggedTree({ first: removed.first, key: keyOf(removed.key), frontier, leaves });
    });
  }
}

function keyOf(key: unknown): LogVerifier | undefined {
  return typeof key === 'string' ? unlessMalformed(() => parseAgentLogVerifier(key)) : undefined;
}

function frontierOf(text: unknown): Frontier | undefined {
  return typeof text === 'string' ? unlessMalformed(() => Frontier.parse(text)) : undefined;
}

function unlessMalformed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TextFormError) return undefined;
    throw error;
  }
}

/** The tree of one start of the agent, as it is read from a file. Leaves of removed records are known only as subtrees. */
export class LoggedTree {
  /** Sequence number of the record that is leaf 0. */
  readonly first: number;
  /** Named by the boot record; undefined if that is removed, or names none. */
  readonly key: LogVerifier | undefined;
  /** Number of leaves whose records are removed. */
  readonly removed: number;
  readonly #leaves: readonly TreeHash[];
  readonly #subtrees = new Map<string, TreeHash>();

  constructor(options: {
    readonly first: number;
    readonly key?: LogVerifier | undefined;
    /** The tree of the removed records; without it none is removed. */
    readonly frontier?: Frontier;
    readonly leaves: readonly TreeHash[];
  }) {
    const { first, key, frontier, leaves } = options;
    this.first = first;
    this.key = key;
    this.removed = frontier?.size ?? 0;
    this.#leaves = leaves;
    frontier?.forEachSubtree((level, index, hash) => this.#subtrees.set(`${level}/${index}`, hash));
  }

  get size(): number {
    return this.removed + this.#leaves.length;
  }

  readonly source: HashSource = (level, index) =>
    (level === 0 ? this.#leaves[index - this.removed] : undefined) ?? this.#subtrees.get(`${level}/${index}`);

  /** Returns the head of the first `size` leaves. Throws a MissingHashError if more than those are removed. */
  head(size: number = this.size): TreeHead {
    return { size, root: hashOfRange({ from: 0, to: size }, this.source) };
  }
}
