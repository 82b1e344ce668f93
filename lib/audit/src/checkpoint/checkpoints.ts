import { type LogSigner, signCheckpoint } from '@kata-agent/tlog';
import type { SignedHead } from '../audit-log.js';
import { AuditUnavailable } from '../audit-unavailable.js';
import type { Journal } from '../journal/journal.js';
import type { Writer } from '../journal/writer.js';
import { FollowedTree } from '../tree/tree-follower.js';

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
