import { type LogSigner, signCheckpoint } from '@kata-agent/tlog';
import { AuditUnavailable, type SignedHead } from './audit-log.js';
import type { Clock } from './clock.js';
import { type FileLayer, replaceFile } from './file-layer.js';
import type { Journal } from './journal/journal.js';
import type { Writer } from './journal/writer.js';
import { FollowedTree } from './tree/tree-follower.js';

/** A checkpoint is made early when so many records have been written since the last one. */
const earlyRecords = 1_000;

/** Signs the tree of a journal, on request and for followers. */
export class Checkpoints {
  readonly #followers = new Set<FollowedTree>();
  #isRound = false;
  readonly #journal: Pick<Journal, 'tree'>;
  readonly #writer: Pick<Writer, 'addDurable'>;
  readonly #signer: LogSigner;
  #signed: SignedHead | undefined;
  #underWay: Promise<SignedHead> | undefined;
  /** Begins when the one under way has ended. */
  #next: Promise<SignedHead> | undefined;

  constructor(journal: Pick<Journal, 'tree'>, writer: Pick<Writer, 'addDurable'>, signer: LogSigner) {
    this.#journal = journal;
    this.#writer = writer;
    this.#signer = signer;
  }

  /**
   * Signs the records that are there, once they are durable. Rejects with AuditUnavailable. One signature is under way at a time,
   * and all who ask meanwhile wait for the next: otherwise a client that may only read could fill the queue of records.
   */
  async sign(): Promise<SignedHead> {
    if (this.#underWay === undefined) return await this.#begin();
    const before = this.#underWay;
    this.#next ??= before.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return await this.#next;
  }

  /** As `AuditLog.follow`. */
  follow(): FollowedTree {
    const follower = new FollowedTree(this.#journal.tree, () => this.#followers.delete(follower));
    this.#followers.add(follower);
    return follower;
  }

  /** As `AuditLog.checkpointRound`. */
  async round(): Promise<SignedHead> {
    this.#isRound = true;
    return await this.sign();
  }

  async #begin(): Promise<SignedHead> {
    this.#next = undefined;
    const signing = this.#sign();
    this.#underWay = signing;
    try {
      return await signing;
    } finally {
      if (this.#underWay === signing) this.#underWay = undefined;
    }
  }

  async #sign(): Promise<SignedHead> {
    await this.#writer.addDurable(undefined);
    // A record that is written later is not in the tree yet: its write has not ended.
    const { first, size } = this.#journal.tree;
    if (size === 0)
      throw new AuditUnavailable('the audit log has no boot record yet, and a checkpoint begins with that');
    if (this.#signed?.size !== size)
      this.#signed = { first, size, checkpoint: signCheckpoint(this.#signer, this.#journal.tree.head()) };
    // In the same turn of the event loop: the tree has exactly these records.
    if (this.#isRound) for (const follower of this.#followers) follower.signed(this.#signed);
    this.#isRound = false;
    return this.#signed;
  }
}

/** The path of a log's newest checkpoint. */
export function checkpointPath(file: string): string {
  return `${file}.checkpoint`;
}

/** The path of the newest checkpoint that a quorum of witnesses has cosigned. */
export function cosignedPath(file: string): string {
  return `${file}.cosigned`;
}

interface CheckpointWriterOptions {
  /** Of the log. */
  readonly file: string;
  readonly files: FileLayer;
  readonly clock: Clock;
  /** In ms. */
  readonly everyMs: number;
  /** Number of records that the log has written. */
  readonly size: () => number;
  readonly sign: () => Promise<SignedHead>;
  readonly onFailure: (error: Error) => void;
}

/**
 * Writes checkpoints beside the log, for programs that copy both: after a time if there are new records, or after many records. The
 * file always has a whole checkpoint.
 */
export class CheckpointWriter {
  readonly #options: CheckpointWriterOptions;
  #writtenSize = 0;
  /** The number of records at the last attempt: a failed one is not repeated with each record. */
  #triedSize = 0;
  #writing: Promise<void> | undefined;
  #cancel: () => void;
  #isStopped = false;

  constructor(options: CheckpointWriterOptions) {
    this.#options = options;
    this.#cancel = this.#later();
  }

  /** Called after records were written. */
  written(): void {
    if (this.#options.size() - this.#triedSize >= earlyRecords) this.#begin();
  }

  /** Writes the last checkpoint, if there are new records. */
  async stop(): Promise<void> {
    this.#cancel();
    await this.#writing;
    this.#begin();
    this.#isStopped = true;
    await this.#writing;
  }

  #later(): () => void {
    const { clock, everyMs } = this.#options;
    return clock.after(everyMs, () => {
      this.#begin();
      this.#cancel = this.#later();
    });
  }

  #begin(): void {
    const { size, onFailure } = this.#options;
    if (this.#isStopped || this.#writing !== undefined || size() === this.#writtenSize) return;
    this.#triedSize = size();
    this.#writing = this.#write()
      .catch(onFailure)
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async #write(): Promise<void> {
    const { file, files, sign } = this.#options;
    const { size, checkpoint } = await sign();
    await replaceFile(checkpointPath(file), checkpoint, files);
    this.#writtenSize = size;
  }
}
