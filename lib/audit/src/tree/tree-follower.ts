import type { Growth } from '@kata-agent/tlog';
import type { SignedHead, TreeFollower, TreeStep } from '../audit-log.js';
import type { LogTree } from './log-tree.js';

/** A follower of the tree that is being written. It has few hashes, however long it takes nothing. */
export class FollowedTree implements TreeFollower {
  readonly #tree: Pick<LogTree, 'grow' | 'forget'>;
  readonly #onClose: () => void;
  #base: Growth;
  /** The last round, and the growth since. */
  #next: { readonly step: TreeStep; readonly growth: Growth } | undefined;

  constructor(tree: Pick<LogTree, 'grow' | 'forget'>, onClose: () => void) {
    this.#tree = tree;
    this.#onClose = onClose;
    this.#base = tree.grow();
  }

  /** Called in a round, while the tree has exactly the records of `signed`. */
  signed(signed: SignedHead): void {
    this.#dropNext();
    const { from } = this.#base;
    if (signed.size === from) return;
    const step = { signed, from, proof: this.#base.prove() };
    this.#next = { step, growth: this.#tree.grow() };
  }

  get hasNext(): boolean {
    return this.#next !== undefined;
  }

  take(): TreeStep | undefined {
    const next = this.#next;
    if (next === undefined) return undefined;
    this.#tree.forget(this.#base);
    this.#base = next.growth;
    this.#next = undefined;
    return next.step;
  }

  close(): void {
    this.#dropNext();
    this.#tree.forget(this.#base);
    this.#onClose();
  }

  #dropNext(): void {
    if (this.#next !== undefined) this.#tree.forget(this.#next.growth);
    this.#next = undefined;
  }
}
