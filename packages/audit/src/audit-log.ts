import type { Decision, RequestFacts, RequestSummary } from '@kata-agent/gate';

/** Who called what. Objects given to the log are read later, when their batch is written: don't change them. */
export interface AuditedCall {
  /** The listener's name in the configuration. */
  readonly listener: string;
  /** The other end, as the listener names it: `cid 2`, `pid 812 uid 0`, a certificate's subject. */
  readonly peer: string;
  readonly method: string;
  /** The request as it came. Only its keyed digest is written, and that is taken before the call returns. */
  readonly payload: Uint8Array;
  /** Calls with the same text are counted in one record each 10 s, e.g. `ReadStdout c1/e1`. */
  readonly fold?: string | undefined;
  /** The same request again does what it did before: `repeats` says whether it is only counted. */
  readonly repeatable?: boolean | undefined;
  readonly subject?: Subject | undefined;
  /** It ends something: where the disk is full, it is recorded in space that was reserved for such calls. */
  readonly urgent?: boolean | undefined;
  /** What the request names, for calls that make or change something. */
  readonly request?: RequestSummary | undefined;
  /** Written when it is given: the caller gives it when `[audit] facts` is on. */
  readonly facts?: RequestFacts | undefined;
}

/** What a call is about. Without facts, nothing else of a request is ever written. */
export interface Subject {
  readonly containerId?: string | undefined;
  readonly execId?: string | undefined;
  /** The program's name; never its arguments. */
  readonly argv0?: string | undefined;
}

export interface CallResult {
  /** The status code's name: `OK`, `NOT_FOUND` … */
  readonly code: string;
  /** The error's text. The caller answers for it holding no secret of the request. */
  readonly message?: string | undefined;
  readonly durationUs: number;
  /** Payload bytes moved, for calls that move some. */
  readonly bytes?: number | undefined;
}

/**
 * The record of decisions. One log has one writer.
 *
 * What `intent` and `boot` resolved for is on the disk. The rest follows within milliseconds: a crash may lose
 * the last batch of it, but never an intent.
 */
export interface AuditLog {
  /**
   * Writes the first record of a boot and resolves when it is durable.
   *
   * @throws AuditUnavailable when the log cannot be written.
   * @throws TypeError when the facts are no JSON, RangeError when they are longer than 64 KiB.
   */
  boot(facts: Readonly<Record<string, unknown>>): Promise<void>;
  /**
   * Records a call that is about to change something. Resolves to the record's sequence number once it is
   * durable; all that wait at the same time share one write and one fdatasync.
   *
   * @throws AuditUnavailable when the log cannot be written: the call must not be carried out then.
   */
  intent(call: AuditedCall, decision: Decision): Promise<number>;
  /** Records how the call of an intent ended. Never throws: what cannot be written is counted as lost. */
  outcome(intent: number, call: AuditedCall, result: CallResult): void;
  /**
   * Whether a repeatable call is one like that has an intent and an outcome of late: same listener, peer, request and rule.
   * Such calls need no intent and are counted by `observe`. False while the log cannot be written.
   */
  repeats(call: AuditedCall, decision: Decision): boolean;
  /**
   * Records a call that changed nothing, or a repetition, after it ended; folded when `call.fold` is set, when it repeats one, or when it failed.
   * Never throws.
   */
  observe(call: AuditedCall, decision: Decision, result: CallResult): void;
  /** Records a refused call. Identical ones (listener, peer, method, rule) are folded. Never throws. */
  refuse(call: AuditedCall, decision: Decision): void;
  /** False from a failed write until the next one that works. The log tries again by itself each second. */
  readonly writable: boolean;
  /** False: the file system cannot reserve space, so a full disk stops urgent calls as well. */
  readonly hasReserve: boolean;
  /** Why the log cannot be written; undefined while it can. */
  readonly failure: Error | undefined;
  /**
   * Writes what is folded and buffered; resolves when it is durable.
   *
   * @throws AuditUnavailable when the log cannot be written.
   */
  flush(): Promise<void>;
  /**
   * Flushes and closes. Calls after it are not recorded, and intents after it are rejected.
   *
   * @throws AuditUnavailable when the last records could not be written; the file is closed all the same.
   */
  close(): Promise<void>;
}
