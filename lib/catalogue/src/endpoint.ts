import type { GroupName } from './groups.js';
import type { MethodName } from './methods.js';
import type { Release } from './releases.js';

/** The description of one method of the agent's API, for operators and auditors; printed by `endpoints NAME`. */
export interface Endpoint {
  readonly method: MethodName;
  /** What the method does. */
  readonly purpose: string;
  /** What a hostile caller gains by it. */
  readonly exposure: string;
  /** What stops working when it is not served. */
  readonly without: string;
  /** The groups that contain it; derived from the table of groups. */
  readonly groups: readonly GroupName[];
  /** The release of Kata Containers that introduced it. */
  readonly release: Release;
  /**
   * Whether it changes state in the guest. A call that does is denied while the audit log cannot be written, and has
   * two records, intent and outcome, unless `fold` says otherwise. A call that does not has one record, written after
   * it, and repetitions are counted.
   */
  readonly changes: boolean;
  /**
   * How calls are folded that are too frequent for one record each: they are counted in one record per 10 s. `stream`:
   * the calls of one stream of one process. `poll`: repeated calls of one peer; methods that do not change state are
   * folded this way too. `repeat`: calls with the same request, which repeat the effect of the first. A folded call has
   * no intent record, even if it changes state; with `repeat` the first one has.
   */
  readonly fold?: 'stream' | 'poll' | 'repeat';
  /**
   * The method ends something, so it is served even while the audit log's disk is full: the log reserves space for the
   * records of such calls.
   */
  readonly ends?: true;
  /** When each of Kata's runtimes calls it: the Go runtime, and runtime-rs. */
  readonly clients: { readonly go: string; readonly rs: string };
}

/** A row of the tables, without what is derived from its key and from the table of groups. */
type EndpointRow = Omit<Endpoint, 'method' | 'groups'>;

/** The rows of one area. The compiler rejects a missing row and a row without a method. */
export type EndpointRows<M extends MethodName> = { readonly [K in M]: EndpointRow };
