import type { OperatorVerb } from '@kata-agent/catalogue';
import { Slots } from '@kata-agent/connection-limits';
import type { Operator } from '../authorization/operator-rights.js';
import type { OperatorChecks } from './operator-checks.js';
import type { OperatorLimits, OperatorSource, StoredGuest } from './operator-context.js';

/** Something that lasts: a connection to a guest, by its relay, or a reader of an audit log. */
export interface OpenUse {
  readonly kind: 'operator-tls' | 'trusted' | 'audit';
  readonly source: OperatorSource;
  readonly operator: Operator;
  readonly guest: StoredGuest;
  /** Ends it at once. */
  readonly close: () => void;
}

/** The verb that each kind needs, when it is opened and as long as it is open. */
const verbByKind: { readonly [K in OpenUse['kind']]: OperatorVerb } = {
  'operator-tls': 'connect',
  trusted: 'connect',
  audit: 'audit',
};

/** A guest with the name that it has now; undefined: it is not accepted. */
export interface NamedGuest {
  readonly id: string;
  readonly name: string | undefined;
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
  readonly #connectionsToGuest: Slots;
  readonly #readers: Slots;

  constructor(checks: OperatorChecks, limits: OperatorLimits) {
    this.#checks = checks;
    this.#limits = limits;
    this.#connections = new Slots(limits.connections);
    this.#connectionsToGuest = new Slots(limits.connectionsToGuest);
    this.#readers = new Slots(limits.readers);
  }

  count(kind: OpenUse['kind']): number {
    return [...this.#open].filter(([use, isOpen]) => isOpen && use.kind === kind).length;
  }

  /** Takes a place of `by`. Throws an HttpError if it has as many as an operator may. */
  begin(use: OpenUse, by: string = use.operator.name): BegunUse {
    const release = use.kind === 'audit' ? this.#beginReader(use, by) : this.#beginConnection(use, by);
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

  /**
   * Closes and records what was opened in a guest under another name than it has now: the rights in it were those of that name.
   * Connections with operator-tls outlive the guest's own.
   */
  named({ id, name }: NamedGuest): void {
    for (const use of this.#open.keys()) {
      if (use.guest.id !== id || use.guest.name === name) continue;
      this.#end(use);
      this.#checks.ended(use.operator, verbOf(use), use.guest, 'the guest no longer has this name');
    }
  }

  close(): void {
    for (const use of this.#open.keys()) this.#end(use);
  }

  #beginReader(use: OpenUse, by: string): () => void {
    const { readers } = this.#limits;
    return this.#take(use, this.#readers, by, `${readers} readers of audit logs`);
  }

  #beginConnection(use: OpenUse, by: string): () => void {
    const { guest } = use;
    const { connections, connectionsToGuest } = this.#limits;
    const release = this.#take(use, this.#connections, by, `${connections} connections`);
    try {
      const what = `${connectionsToGuest} connections to guest '${guest.name}'`;
      const ofGuest = this.#take(use, this.#connectionsToGuest, `${guest.id} ${by}`, what);
      return () => {
        ofGuest();
        release();
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Returns a function that gives the place back. Throws an HttpError if the operator has `what` already. */
  #take(use: OpenUse, slots: Slots, key: string, what: string): () => void {
    const release = slots.take(key);
    if (release === undefined) throw this.#checks.tooMany(use.operator, verbOf(use), use.guest, what);
    return release;
  }

  #end(use: OpenUse): void {
    this.#open.delete(use);
    use.close();
  }
}

function verbOf({ kind }: OpenUse): OperatorVerb {
  return verbByKind[kind];
}
