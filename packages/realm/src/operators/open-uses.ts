import type { Operator, Verb } from '../authorization/operator.js';
import type { OperatorChecks } from './operator-checks.js';
import type { OperatorSource, StoredGuest } from './operator-context.js';
import type { OperatorLimits } from './operator-limits.js';
import { Slots } from './slots.js';

/** Something that lasts: a connection to a guest, by its relay, or a reader of an audit log. */
export interface OpenUse {
  readonly kind: 'operator-tls' | 'trusted' | 'audit';
  readonly source: OperatorSource;
  readonly operator: Operator;
  readonly guest: StoredGuest;
  /** Ends it at once. */
  readonly close: () => void;
}

/** A use that has its place. */
export interface BegunUse {
  /** It counts as open from now on: the guest has connected, or the answer begins. */
  readonly opened: () => void;
  readonly end: () => void;
}

/** What operators have open, up to limits for each. */
export class OpenUses {
  /** With those that are being opened: false. */
  readonly #open = new Map<OpenUse, boolean>();
  readonly #checks: OperatorChecks;
  readonly #limits: OperatorLimits;
  readonly #connections: Slots;
  readonly #readers: Slots;

  constructor(checks: OperatorChecks, limits: OperatorLimits) {
    this.#checks = checks;
    this.#limits = limits;
    this.#connections = new Slots(limits.connections);
    this.#readers = new Slots(limits.readers);
  }

  count(kind: OpenUse['kind']): number {
    return [...this.#open].filter(([use, isOpen]) => isOpen && use.kind === kind).length;
  }

  /** Takes a place of `by`. Throws an HttpError if it has as many as an operator may. */
  begin(use: OpenUse, by: string = use.operator.name): BegunUse {
    const { kind, operator, guest } = use;
    const { connections, readers } = this.#limits;
    const [slots, most] =
      kind === 'audit'
        ? [this.#readers, `${readers} readers of audit logs`]
        : [this.#connections, `${connections} connections`];
    const release = slots.take(by);
    if (release === undefined) throw this.#checks.tooMany(operator, verbOf(use), guest, most);
    this.#open.set(use, false);
    return {
      opened: () => {
        if (this.#open.has(use)) this.#open.set(use, true);
      },
      end: () => {
        this.#open.delete(use);
        release();
      },
    };
  }

  /** Adds an open use that has its place elsewhere. Returns a function that removes it. */
  add(use: OpenUse): () => void {
    this.#open.set(use, true);
    return () => void this.#open.delete(use);
  }

  /** Closes and records what its operator may no longer do. */
  recheck(): void {
    for (const use of this.#open.keys()) {
      const operator = use.source();
      const verb = verbOf(use);
      if (operator?.may('list', use.guest) === true && operator.may(verb, use.guest)) continue;
      this.#end(use);
      this.#checks.ended(use.operator, verb, use.guest, 'the authorization has changed');
    }
  }

  close(): void {
    for (const use of this.#open.keys()) this.#end(use);
  }

  #end(use: OpenUse): void {
    this.#open.delete(use);
    use.close();
  }
}

function verbOf({ kind }: OpenUse): Verb {
  return kind === 'audit' ? 'audit' : 'connect';
}
