import type { Verb } from '../authorization/operator.js';
import type { OperatorSource, StoredGuest } from './operator-context.js';

/** Something that lasts: a connection to a guest, or a reader of an audit log. */
export interface OpenUse {
  readonly source: OperatorSource;
  readonly operator: string;
  readonly verb: Verb;
  readonly guest: StoredGuest;
  /** Ends it at once. */
  readonly close: () => void;
}

/** What operators have open. */
export class OpenUses {
  readonly #open = new Set<OpenUse>();

  /** Returns a function that removes it. */
  add(use: OpenUse): () => void {
    this.#open.add(use);
    return () => void this.#open.delete(use);
  }

  /** Closes what its operator may no longer do. Returns it. */
  recheck(): readonly OpenUse[] {
    const ended = [...this.#open].filter(({ source, verb, guest }) => {
      const operator = source();
      return operator === undefined || !operator.may('list', guest) || !operator.may(verb, guest);
    });
    for (const use of ended) this.#end(use);
    return ended;
  }

  close(): void {
    for (const use of this.#open) this.#end(use);
  }

  #end(use: OpenUse): void {
    this.#open.delete(use);
    use.close();
  }
}
