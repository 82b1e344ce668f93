import { type AuditRecord, lineHashes, LinkCheck, type Position, positionOf } from '@kata-agent/audit';
import {
  Frontier,
  type LogVerifier,
  parseAgentLogVerifier,
  TextFormError,
  type TreeHash,
  type UnverifiedCheckpoint,
} from '@kata-agent/tlog';
import type { CollectTarget } from '../store/collect.js';
import type { GuestLogs } from '../store/guest-logs.js';

/** Records between two times that the tree is kept beside the log. */
const saveEvery = 10_000;

/**
 * The logs of an agent with the Merkle tree of what is collected. A collector that starts again knows the tree only up to some
 * record before the last one: it asks for the records since then once more, which must lead to the last one by their chain, and
 * are not stored again. Without them the tree is unknown until the agent starts again.
 */
export class TreeLogs implements CollectTarget {
  readonly #logs: GuestLogs;
  readonly #onGrown: () => Promise<void>;
  #tree: CollectedTree | undefined;
  /** The log whose tree was looked for. */
  #path: string | undefined;
  /** While records come that are stored already. */
  #again: { readonly check: LinkCheck; readonly until: Position; isFirst: boolean } | undefined;
  #sinceSaved = 0;
  /** A checkpoint was asked for: single leaves are kept until it is compared. */
  keepsLeaves = false;
  /** Since when no records have been taken, by the monotonic clock in ms; undefined while some are. */
  #idleSince: number | undefined;

  constructor(logs: GuestLogs, onGrown: () => Promise<void>) {
    this.#logs = logs;
    this.#onGrown = onGrown;
  }

  /** The tree of the records that have come; undefined: it is not known. */
  get tree(): CollectedTree | undefined {
    return this.#again === undefined ? this.#tree : undefined;
  }

  /** How long the agent has sent nothing, in ms: 0 while its records are being stored. */
  get idleMs(): number {
    return this.#idleSince === undefined ? 0 : performance.now() - this.#idleSince;
  }

  /** Is called with each record that is stored, before `take` returns. */
  add(record: AuditRecord, line: Buffer): void {
    const { leaf } = lineHashes(line);
    if (record.kind === 'boot') this.#tree = CollectedTree.begin(record, leaf);
    else if (this.#tree?.last.sequence === record.sequence - 1)
      this.#tree.append(record, leaf, this.keepsLeaves);
    else this.#tree = undefined;
    this.#sinceSaved += 1;
  }

  async begin(): Promise<number> {
    this.#idleSince = undefined;
    const from = await this.#logs.begin();
    this.#again = undefined;
    const { last, path } = this.#logs;
    if (last === undefined) {
      this.#tree = undefined;
      return from;
    }
    if (this.#tree?.last.hash === last.hash) return from;
    const isKnown = this.#path === path;
    this.#path = path;
    const kept = isKnown ? undefined : await this.#logs.beside('tree');
    this.#tree = kept === undefined ? undefined : CollectedTree.parse(kept);
    if (this.#tree?.last.hash === last.hash) return from;
    const start = this.#tree?.last.sequence ?? (isKnown ? undefined : this.#logs.first);
    if (start === undefined || start > last.sequence) {
      this.#tree = undefined;
      return from;
    }
    const check = this.#tree === undefined ? new LinkCheck({ from: start }) : new LinkCheck();
    this.#again = { check, until: last, isFirst: true };
    return start;
  }

  get isFull(): boolean {
    return this.#logs.isFull;
  }

  /** False as well while records before it come. */
  get awaitsOverlap(): boolean {
    return this.#logs.awaitsOverlap && this.#again?.isFirst !== false;
  }

  set trouble(trouble: 'not-served' | 'failed' | undefined) {
    this.#logs.trouble = trouble;
  }

  async noteWithheld(): Promise<void> {
    await this.#logs.noteWithheld();
  }

  async expectOtherLog(): Promise<void> {
    await this.#logs.expectOtherLog();
  }

  async take(lines: readonly Uint8Array[]): Promise<'more' | 'again' | 'stop'> {
    this.#idleSince = undefined;
    const fresh = this.#again === undefined ? lines : this.#takeAgain(lines);
    const next = fresh.length === 0 ? 'more' : await this.#logs.take(fresh);
    if (this.#again === undefined) await this.#onGrown();
    if (this.#sinceSaved >= saveEvery) await this.save();
    this.#idleSince = performance.now();
    return next;
  }

  /** Keeps the tree beside the log. */
  async save(): Promise<void> {
    const { tree } = this;
    if (tree === undefined || this.#logs.last === undefined) return;
    this.#sinceSaved = 0;
    await this.#logs.putBeside('tree', tree.toString());
  }

  /** Returns the lines from the last record on that is stored; those before it are only added to the tree. */
  #takeAgain(lines: readonly Uint8Array[]): readonly Uint8Array[] {
    for (const [at, line] of lines.entries()) {
      const again = this.#again;
      if (again === undefined) return lines.slice(at);
      const { record, fault } = again.check.next(line);
      const known = again.isFirst ? this.#tree?.last : undefined;
      again.isFirst = false;
      const isKnown = known !== undefined && record?.hash === known.hash;
      // Rotation has removed what would have been needed, or the log is not the one that is stored.
      if (fault !== undefined || (known !== undefined && !isKnown)) this.#tree = undefined;
      else if (record !== undefined && !isKnown) this.#addAgain(record, line);
      // The check of what is stored finds what is wrong with these.
      const isOther =
        record === undefined || (known !== undefined && !isKnown && record.sequence <= known.sequence);
      if (!isOther && record.sequence < again.until.sequence) continue;
      if (record?.hash !== again.until.hash) this.#tree = undefined;
      this.#again = undefined;
      return lines.slice(at);
    }
    return [];
  }

  #addAgain(record: AuditRecord, line: Uint8Array): void {
    this.add(record, Buffer.from(line));
    this.#sinceSaved = 0;
  }
}

/** What a checkpoint says of the records that were collected. */
type Comparison =
  /** They are exactly its records. */
  | { readonly kind: 'agrees'; readonly last: number }
  /** Not all of its records have come. */
  | { readonly kind: 'later' }
  /** Its start of the agent is not the one whose records come now, or not all of its records are known. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'differs'; readonly last: number; readonly what: string };

interface Leaf {
  readonly hash: TreeHash;
  readonly position: Position;
}

/**
 * The Merkle tree of the start of the agent whose records come now (FORMAT.md, "The tree"): its right edge, and the leaves since a
 * checkpoint was asked for, so that it can be compared whatever has come before the answer. Pure.
 */
class CollectedTree {
  #base: Frontier;
  /** Of the last leaf of the edge. */
  #at: Position;
  #leaves: Leaf[] = [];
  readonly #first: number;
  readonly #keyText: string | undefined;
  readonly key: LogVerifier | undefined;

  private constructor(first: number, keyText: string | undefined, base: Frontier, at: Position) {
    this.#first = first;
    this.#keyText = keyText;
    this.key = keyOf(keyText);
    this.#base = base;
    this.#at = at;
  }

  /** Begins with the record of a boot. */
  static begin(record: Extract<AuditRecord, { kind: 'boot' }>, leaf: TreeHash): CollectedTree {
    const base = new Frontier();
    base.append(leaf);
    const { logKey } = record;
    return new CollectedTree(
      record.sequence,
      typeof logKey === 'string' ? logKey : undefined,
      base,
      positionOf(record),
    );
  }

  /** Parses what `toString` returns; undefined if it is something else. */
  static parse(text: string): CollectedTree | undefined {
    try {
      const { first, key, sequence, hash, frontier } = JSON.parse(text) as Record<string, unknown>;
      if (typeof first !== 'number' || typeof sequence !== 'number') return undefined;
      if (typeof hash !== 'string' || typeof frontier !== 'string') return undefined;
      const base = Frontier.parse(frontier);
      if (base.size !== sequence - first + 1) return undefined;
      return new CollectedTree(first, typeof key === 'string' ? key : undefined, base, { sequence, hash });
    } catch (error) {
      if (error instanceof TextFormError || error instanceof SyntaxError || error instanceof TypeError)
        return undefined;
      throw error;
    }
  }

  /** Without the leaves since `fold`. */
  toString(): string {
    const { sequence, hash } = this.#at;
    return JSON.stringify({
      first: this.#first,
      key: this.#keyText,
      sequence,
      hash,
      frontier: this.#base.toString(),
    });
  }

  /** The last record of the tree. */
  get last(): Position {
    return this.#leaves.at(-1)?.position ?? this.#at;
  }

  /** Adds the record after the last one. */
  append(record: AuditRecord, hash: TreeHash, keepLeaf: boolean): void {
    const leaf = { hash, position: positionOf(record) };
    if (keepLeaf) this.#leaves.push(leaf);
    else {
      this.fold();
      this.#add(leaf);
    }
  }

  /** Forgets the single leaves: an earlier checkpoint cannot be compared any more. */
  fold(): void {
    for (const leaf of this.#leaves) this.#add(leaf);
    this.#leaves = [];
  }

  /** Compares a checkpoint whose signature is verified. `first`: the sequence number that the agent gives for its first record. */
  compare({ origin, head }: Pick<UnverifiedCheckpoint, 'origin' | 'head'>, first: number): Comparison {
    if (this.key?.name !== origin) {
      this.fold();
      return { kind: 'unknown' };
    }
    const last = this.#first + head.size - 1;
    if (first !== this.#first)
      return {
        kind: 'differs',
        last,
        what: `it begins with record ${first}, and the log with ${this.#first}`,
      };
    if (head.size < this.#base.size)
      return {
        kind: 'differs',
        last,
        what: `it has ${head.size} records, and ${this.#base.size} had been sent before it was asked for`,
      };
    const missing = head.size - this.#base.size - this.#leaves.length;
    if (missing > 0) {
      this.fold();
      return { kind: 'later' };
    }
    for (const leaf of this.#leaves.splice(0, head.size - this.#base.size)) this.#add(leaf);
    if (this.#base.root() === head.root) return { kind: 'agrees', last };
    return {
      kind: 'differs',
      last,
      what: `at least one of its ${head.size} records is not the one that was sent`,
    };
  }

  #add({ hash, position }: Leaf): void {
    this.#base.append(hash);
    this.#at = position;
  }
}

function keyOf(text: string | undefined): LogVerifier | undefined {
  if (text === undefined) return undefined;
  try {
    return parseAgentLogVerifier(text);
  } catch (error) {
    if (error instanceof TextFormError) return undefined;
    throw error;
  }
}
