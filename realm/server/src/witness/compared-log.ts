import { Semaphore } from '@kata-agent/base';
import type { TreeHash } from '@kata-agent/tlog';
import type { GuestLogs } from '../store/guest-logs.js';
import { type LogIdentity, StoredTree } from '../store/stored-tree.js';

export interface ComparedLogOptions {
  readonly logs: Pick<GuestLogs, 'id' | 'stored'>;
  /** Bounds how many logs are read at once. */
  readonly reads: Semaphore;
  /** The checkpoint is of the tree of the stored records. */
  readonly onSame: (identity: LogIdentity) => void;
  /** The checkpoint is not of the tree of the stored records. */
  readonly onDifference: (head: SignedHead, identity: LogIdentity) => Promise<void>;
  /** The log has signed two trees of one size. */
  readonly onContradiction: (found: Contradiction, identity: LogIdentity) => Promise<void>;
  /** Returns what was cosigned of the log before this process began; called once. */
  readonly before: (identity: LogIdentity) => Promise<SignedHead | undefined>;
}

/**
 * Compares what a guest signs with the records that it sends: at once if they are stored, otherwise as soon as they are. Reads
 * nothing of a log until a client asks.
 */
export class ComparedLog {
  readonly #options: ComparedLogOptions;
  readonly #heads = new SignedHeads();
  #tree: StoredTree | undefined;
  #hasBefore = false;
  #isScheduled = false;
  readonly #own = new Semaphore(1);

  constructor(options: ComparedLogOptions) {
    this.#options = options;
  }

  /** Whether further records would change what is known. */
  get isWaiting(): boolean {
    return this.#tree?.identity === undefined || (!this.#heads.isEmpty && !this.#tree.isOver);
  }

  /** Whether so many cosigned checkpoints wait for their records that no more may be cosigned. */
  get isFull(): boolean {
    return this.#heads.isFull;
  }

  /** Keeps a checkpoint that is cosigned now until its records are compared, whatever else the guest signs. */
  keep(head: SignedHead): void {
    this.#heads.keep(head);
  }

  /** The key of the log; undefined if its boot record is not stored. Throws the system's error. */
  async identity(): Promise<LogIdentity | undefined> {
    return await this.#inTurn(() => this.#refresh());
  }

  /** Compares a checkpoint whose signature was verified, or keeps it until its records are stored. Throws the system's error. */
  async compare(head: SignedHead): Promise<void> {
    await this.#inTurn(async () => {
      const identity = await this.#refresh();
      if (identity === undefined) return;
      await this.#add(head, identity);
      await this.#compareAll(identity);
    });
  }

  /** Compares what waits. Calls that come meanwhile are one. Throws the system's error. */
  async recordsStored(): Promise<void> {
    if (this.#isScheduled || !this.isWaiting) return;
    this.#isScheduled = true;
    await this.#inTurn(async () => {
      this.#isScheduled = false;
      const identity = await this.#refresh();
      if (identity !== undefined) await this.#compareAll(identity);
    });
  }

  async #add(head: SignedHead, identity: LogIdentity): Promise<void> {
    const found = this.#heads.add(head);
    if (found !== undefined) await this.#options.onContradiction(found, identity);
  }

  async #compareAll(identity: LogIdentity): Promise<void> {
    const tree = this.#tree;
    if (tree === undefined) return;
    for (let head = this.#heads.take(tree.size); head !== undefined; head = this.#heads.take(tree.size)) {
      const { root } = await tree.head(head.size);
      if (root === head.root) this.#options.onSame(identity);
      else await this.#options.onDifference(head, identity);
    }
  }

  async #refresh(): Promise<LogIdentity | undefined> {
    const { logs, before } = this.#options;
    const { stored } = logs;
    if (stored !== undefined) {
      // A guest that sends another log has another file; what it has signed belongs to the first.
      if (this.#tree?.identity === undefined && this.#tree?.path !== stored.path)
        this.#tree = new StoredTree(logs.id, stored.path);
      if (this.#tree?.path === stored.path) await this.#tree.read(stored.size);
    }
    const identity = this.#tree?.identity;
    if (identity === undefined || this.#hasBefore) return identity;
    const head = await before(identity);
    this.#hasBefore = true;
    if (head !== undefined) {
      await this.#add(head, identity);
      this.keep(head);
    }
    return identity;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#own.run(() => this.#options.reads.run(work));
  }
}

/** A checkpoint that its log has signed. */
export interface SignedHead {
  readonly size: number;
  readonly root: TreeHash;
  /** The note, with the signature of the log. */
  readonly note: string;
}

/** Two checkpoints of different trees of one size. They are a proof: the log has signed both. */
export interface Contradiction {
  readonly size: number;
  readonly notes: readonly [string, string];
}

/**
 * Heads that a guest has signed, until each was compared with the records. Those that the witness has cosigned are all kept: it
 * cosigns no more while `maxCosigned` of them wait. Of a guest that signs more than `most` others before its records arrive, the
 * largest are kept: each says all that those before it say, if they are of one log.
 */
export class SignedHeads {
  readonly #max: number;
  readonly #maxCosigned: number;
  /** Sizes of those that are cosigned. */
  readonly #cosigned = new Set<number>();
  /** By size. */
  readonly #waiting = new Map<number, SignedHead>();

  constructor(max = 32, maxCosigned = 256) {
    this.#max = max;
    this.#maxCosigned = maxCosigned;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Adds a head. Returns a contradiction to one that waits, if there is one. */
  add(head: SignedHead): Contradiction | undefined {
    const known = this.#waiting.get(head.size);
    if (known !== undefined)
      return known.root === head.root ? undefined : { size: head.size, notes: [known.note, head.note] };
    this.#waiting.set(head.size, head);
    if (this.#waiting.size - this.#cosigned.size > this.#max) {
      const others = Array.from(this.#waiting.keys()).filter((size) => !this.#cosigned.has(size));
      this.#waiting.delete(Math.min(...others));
    }
    return undefined;
  }

  /** Whether as many as may be wait and are cosigned. */
  get isFull(): boolean {
    return this.#cosigned.size >= this.#maxCosigned;
  }

  /** Keeps a head until it is compared, if it waits: it is cosigned. */
  keep(head: SignedHead): void {
    if (this.#waiting.get(head.size)?.root === head.root) this.#cosigned.add(head.size);
  }

  /** Takes one of at most so many leaves. */
  take(size: number): SignedHead | undefined {
    for (const head of this.#waiting.values())
      if (head.size <= size) {
        this.#waiting.delete(head.size);
        this.#cosigned.delete(head.size);
        return head;
      }
    return undefined;
  }
}
