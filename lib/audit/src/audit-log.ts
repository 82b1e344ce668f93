import type { Decision, RequestFacts, RequestSummary } from '@kata-agent/catalogue';
import type { ConsistencyProof } from '@kata-agent/tlog';

/** A call and its peer. The log keeps references to objects in it until their batch is written: do not modify them. */
export interface AuditedCall {
  /** The listener's name in the configuration. */
  readonly listener: string;
  /** The peer's name, as the listener gives it: `cid 2`, `pid 812 uid 0`, a certificate's subject. */
  readonly peer: string;
  /** The operator for whom the peer makes the call, as the peer says. */
  readonly claimedOperator?: string | undefined;
  readonly method: string;
  /** The encoded request. Only its keyed digest is written, and it is computed before the method returns. */
  readonly payload: Uint8Array;
  /** Calls with the same key are counted in one record per 10 s; for example `ReadStdout c1/e1`. */
  readonly fold?: string | undefined;
  /** Repeating the request has the effect of the first one: `repeats` reports whether it needs only to be counted. */
  readonly repeatable?: boolean | undefined;
  /**
   * What the call continues, such as a file that arrives in pieces: calls with the same key are repetitions of the first,
   * although their requests differ. Absent: those with equal requests.
   */
  readonly continues?: string | undefined;
  readonly subject?: Subject | undefined;
  /** The call ends something: on a full disk it is recorded in space reserved for such calls. */
  readonly urgent?: boolean | undefined;
  /** What the request names, for calls that create or change something. */
  readonly request?: RequestSummary | undefined;
  /** Located when given: the caller gives it when `[audit] facts` is on. */
  readonly facts?: RequestFacts | undefined;
}

/** The container or process a call is about. Without facts, nothing else of a request is written. */
export interface Subject {
  readonly containerId?: string | undefined;
  readonly execId?: string | undefined;
  /** The program's name, without its arguments. */
  readonly argv0?: string | undefined;
}

/** The head of the tree of a log, signed. */
export interface SignedHead {
  /** Sequence number of the record that is leaf 0. */
  readonly first: number;
  /** Number of records in the tree. */
  readonly size: number;
  /** A checkpoint of C2SP tlog-checkpoint, as text. */
  readonly checkpoint: string;
}

/** A signed tree, and the proof that it begins with the one that the follower has taken before. */
export interface TreeStep {
  readonly signed: SignedHead;
  /** Number of records of the one before; 0 for none. */
  readonly from: number;
  readonly proof: ConsistencyProof;
}

/** A receiver of checkpoints: of some or all, never of one that does not continue the last. */
export interface TreeFollower {
  /** Reports whether there is a tree to take. */
  readonly hasNext: boolean;
  /** Returns the step to the tree that was signed in the last round; undefined if that is taken. */
  take(): TreeStep | undefined;
  /** Ends following: it costs each record a little. */
  close(): void;
}

export interface CallResult {
  /** The status code's name: `OK`, `NOT_FOUND` … */
  readonly code: string;
  /** The error's message. The caller ensures that it contains no secret of the request. */
  readonly message?: string | undefined;
  readonly durationUs: number;
  /** Payload bytes transferred, for calls that transfer data. */
  readonly bytes?: number | undefined;
  /** Of SetGuestDateTime: the clock before and after it, as RFC 3339 in UTC; equal if it was left as it was. */
  readonly clock?: { readonly before: string; readonly after: string } | undefined;
  /** Of CreateContainer: the image of which the guest has got the root itself. */
  readonly image?: RecordedImage | undefined;
  /** Of CreateContainer: the sealed secrets that the data hub was asked for. */
  readonly secrets?: RecordedSecrets | undefined;
}

/** Sealed secrets for which a guest has asked, whether it got them or not. */
export interface RecordedSecrets {
  readonly count: number;
  /** Of the first ones: a resource of the key broker, or `sha256:` and the hash of the sealed text. */
  readonly names: readonly string[];
}

/** An image as the guest has verified it. What it could not verify is absent. */
export interface RecordedImage {
  readonly from: 'pulled' | 'pause_bundle';
  /** Of what the reference names, and of this platform's manifest. */
  readonly digest?: string | undefined;
  readonly manifestDigest?: string | undefined;
  /** The signatures that were verified: key, format, and what is signed. */
  readonly signatures?: readonly string[] | undefined;
}

/**
 * The audit log of decisions. A log has one writer.
 *
 * Records for which `intent` and `boot` have resolved are durable. Others follow within milliseconds: a crash may lose
 * the last batch of them, but never an intent.
 */
export interface AuditLog {
  /**
   * Writes the first record of a boot and resolves when it is durable.
   *
   * @throws AuditUnavailable when the log cannot be written.
   * @throws TypeError when the facts are not JSON, RangeError when they are longer than 64 KiB.
   */
  boot(facts: Readonly<Record<string, unknown>>): Promise<void>;
  /**
   * Records a call that is about to change something. Resolves to the record's sequence number once it is durable;
   * concurrent intents share one write and one fdatasync.
   *
   * @throws AuditUnavailable when the log cannot be written; the call must not be carried out then.
   */
  intent(call: AuditedCall, decision: Decision): Promise<number>;
  /** Records the result of an intent's call. Never throws: a record that cannot be written is counted as lost. */
  outcome(intent: number, call: AuditedCall, result: CallResult): void;
  /**
   * Reports whether an equal repeatable call (same listener, peer, request and rule) recently had an intent and an
   * outcome. Such a call needs no intent and is counted by `observe`. False while the log cannot be written.
   */
  repeats(call: AuditedCall, decision: Decision): boolean;
  /**
   * Records, after it ended, a call that changed nothing or that is a repetition. It is folded when `call.fold` is set,
   * when it repeats a call, or when it failed. Never throws.
   */
  observe(call: AuditedCall, decision: Decision, result: CallResult): void;
  /**
   * Records a denied call. Identical ones (listener, peer, method, rule; of connections code and reason) are folded.
   * Never throws.
   */
  refuse(call: AuditedCall, decision: Decision): void;
  /** False from a failed write until the next one that succeeds. The log retries by itself every second. */
  readonly writable: boolean;
  /** False when the file system cannot reserve space, so that a full disk stops urgent calls as well. */
  readonly hasReserve: boolean;
  /** Why the log cannot be written; undefined while it can. */
  readonly failure: Error | undefined;
  /**
   * Writes folded and buffered records; resolves when they are durable.
   *
   * @throws AuditUnavailable when the log cannot be written.
   */
  flush(): Promise<void>;
  /**
   * Signs the tree of the records that were written since the log was opened, which are durable then.
   *
   * @throws AuditUnavailable when the log cannot be written, TypeError when it was opened without a signer.
   */
  checkpoint(): Promise<SignedHead>;
  /** Number of records in the tree. The last of them may not be durable yet. */
  readonly treeSize: number;
  /**
   * Begins to follow the tree, for a witness.
   *
   * @throws TypeError when the log was opened without a signer.
   */
  follow(): TreeFollower;
  /** Signs as `checkpoint` does. After this all followers can take the same tree, which is this one or a little older. */
  checkpointRound(): Promise<SignedHead>;
  /**
   * Returns the proof that a signed tree of this log begins with the one of its first `from` records, any number. Reads the log
   * from the segment with record `from` on.
   *
   * @throws CannotProve when rotation has removed records that it needs, or if they cannot be read, RangeError when the tree is smaller.
   */
  proveSince(from: number, signed: SignedHead): Promise<ConsistencyProof>;
  /** Writes a checkpoint to `FILE.cosigned`. Rejects with the system's error. */
  storeCosigned(checkpoint: string): Promise<void>;
  /**
   * Flushes and closes the log. Later calls are not recorded, and later intents are rejected.
   *
   * @throws AuditUnavailable when the last records could not be written; the file is closed all the same.
   */
  close(): Promise<void>;
}

/** The log cannot be written or continued. `cause` is the system's error, if there is one. */
export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable';
}
