import type { GroupName } from './groups.js';
import type { MethodName } from './methods.js';
import type { Release } from './releases.js';

/** What is known of one method of the agent's API. Written for operators and auditors; printed by `endpoints NAME`. */
export interface Endpoint {
  readonly method: MethodName;
  /** What it does. */
  readonly purpose: string;
  /** What a hostile caller gains by it. */
  readonly exposure: string;
  /** What stops working when it is not served. */
  readonly without: string;
  /** The groups that hold it. Derived from the table of groups. */
  readonly groups: readonly GroupName[];
  /** The release of Kata Containers that it came with. */
  readonly release: Release;
  /**
   * Whether it changes state in the guest. A call that does is refused while the audit log cannot be written, and has
   * two records, intent and outcome, unless `fold` says otherwise. A call that does not has one record, after, and is
   * counted when it is repeated.
   */
  readonly changes: boolean;
  /**
   * Calls too many to be recorded one by one: they are counted into one record each 10 s. `stream`: those of one
   * stream of one process. `poll`: those of one caller that asks again and again; so are all that do not change state.
   * `repeat`: those with the same request, since they do what the first one did. A call that is folded has no record
   * of intent, even if it changes state; with `repeat` the first one has.
   */
  readonly fold?: 'stream' | 'poll' | 'repeat';
  /**
   * It ends something, so it is served even while the audit log's disk is full: the log has space reserved for the records
   * of such calls.
   */
  readonly ends?: true;
  /** When Kata's runtimes call it: the one in Go, and runtime-rs. */
  readonly clients: { readonly go: string; readonly rs: string };
}

/** A row as written in the tables: the method is its key, and the groups are the other table's. */
type EndpointRow = Omit<Endpoint, 'method' | 'groups'>;

/** The rows of one area. The compiler rejects a missing row, and one that is of no method. */
export type EndpointRows<M extends MethodName> = { readonly [K in M]: EndpointRow };
