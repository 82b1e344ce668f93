import { type LogSigner, signCheckpoint } from '@kata-agent/tlog';
import type { SignedHead } from '../audit-log.js';
import { AuditUnavailable } from '../audit-unavailable.js';
import type { Journal } from '../journal/journal.js';
import type { Writer } from '../journal/writer.js';

/** Signs the tree of a journal. */
export class Checkpoints {
  readonly #journal: Pick<Journal, 'tree'>;
  readonly #writer: Pick<Writer, 'addDurable'>;
  readonly #signer: LogSigner;
  #signed: SignedHead | undefined;

  constructor(journal: Pick<Journal, 'tree'>, writer: Pick<Writer, 'addDurable'>, signer: LogSigner) {
    this.#journal = journal;
    this.#writer = writer;
    this.#signer = signer;
  }

  /** Signs the records that are there, once they are durable. Rejects with AuditUnavailable. */
  async sign(): Promise<SignedHead> {
    await this.#writer.addDurable(undefined);
    // A record that is written later is not in the tree yet: its write has not ended.
    const { first, size } = this.#journal.tree;
    if (size === 0)
      throw new AuditUnavailable('the audit log has no boot record yet, and a checkpoint begins with that');
    if (this.#signed?.size !== size)
      this.#signed = { first, size, checkpoint: signCheckpoint(this.#signer, this.#journal.tree.head()) };
    return this.#signed;
  }
}
