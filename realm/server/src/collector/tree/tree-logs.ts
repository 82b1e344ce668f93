import { type AuditRecord, LinkCheck, lineHashes, type Position } from '@kata-agent/audit';
import type { CollectTarget } from '../../store/collect.js';
import type { GuestLogs } from '../../store/guest-logs.js';
import { CollectedTree } from './collected-tree.js';

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
