import type { Decision, RequestFacts, RequestSummary } from '@kata-agent/catalogue';
import type { CallResult, Subject } from '../audit-log.js';
import type { Cut } from './written.js';

/**
 * Members are declared in the order in which they are written, which `retention/line-head.ts` depends on. FORMAT.md describes
 * each kind.
 */
export type AuditRecord =
  | BootRecord
  | IntentRecord
  | OutcomeRecord
  | CallRecord
  | RefusalRecord
  | FoldRecord
  | RotatedRecord
  | RepairedRecord
  | LostRecord
  | HeartbeatRecord;

export type RecordKind = AuditRecord['kind'];

/** A record without the envelope, which is added when it is written. */
export type RecordBody = WithoutEnvelope<AuditRecord>;

type WithoutEnvelope<R> = R extends AuditRecord ? Omit<R, keyof Envelope> : never;

interface Envelope {
  /** Counts from 1 without gaps, over restarts and segments. */
  readonly sequence: number;
  readonly boot: string;
  /** Nanoseconds on the monotonic clock. */
  readonly monotonic: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly wall: string;
  /** Hash of the previous record; 64 zeros for the first. */
  readonly prev: string;
  readonly hash: string;
}

interface Caller {
  readonly listener: string;
  /** `*`: several peers, in a fold record of denials. */
  readonly peer: string;
  /** `*`: several methods, in a fold record of denials. */
  readonly method: string;
  /** The operator for whom the peer made the call, as the peer said. */
  readonly claimedOperator?: string | undefined;
}

export interface RecordedDecision {
  readonly outcome: Decision['outcome'];
  /** Of a denied call. */
  readonly code?: Decision['code'];
  /** The rule that denied the call; for a served call the `enforcement = "audit"` rule that would have. */
  readonly rule?: string | undefined;
  readonly reason: string;
}

/** Facts, marked as cut when some are missing. */
export type RecordedFacts = RequestFacts & Partial<Cut>;

/** What a request that creates or changes something names, marked as cut like the facts. */
export type RecordedRequest = RequestSummary & Partial<Cut>;

/** The first record of a boot: digests, sources and version, as given by the agent. */
export interface BootRecord extends Envelope {
  readonly kind: 'boot';
  /** The key that signs checkpoints of the log that begins here: a verifier key of C2SP signed-note. */
  readonly logKey?: string | undefined;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A call that is about to change something. */
export interface IntentRecord extends Envelope, Caller {
  readonly kind: 'intent';
  readonly decision: RecordedDecision;
  readonly digest: string;
  readonly subject?: Subject | undefined;
  readonly request?: RecordedRequest | undefined;
  readonly facts?: RecordedFacts | undefined;
}

/** The result of such a call. `intent` is the sequence number of its IntentRecord. */
export interface OutcomeRecord extends Envelope, Caller {
  readonly kind: 'outcome';
  readonly intent: number;
  readonly subject?: Subject | undefined;
  readonly result: CallResult;
}

/** A call that changed nothing, written after it. */
export interface CallRecord extends Envelope, Caller {
  readonly kind: 'call';
  readonly decision: RecordedDecision;
  readonly digest: string;
  readonly subject?: Subject | undefined;
  readonly request?: RecordedRequest | undefined;
  readonly facts?: RecordedFacts | undefined;
  readonly result: CallResult;
}

export interface RefusalRecord extends Envelope, Caller {
  readonly kind: 'refusal';
  readonly decision: RecordedDecision;
  readonly digest: string;
  readonly subject?: Subject | undefined;
  readonly request?: RecordedRequest | undefined;
  readonly facts?: RecordedFacts | undefined;
}

/** `count` calls or denials like an earlier record, since `since` on the monotonic clock. */
export interface FoldRecord extends Envelope, Caller {
  readonly kind: 'fold';
  readonly of: 'call' | 'refusal';
  readonly decision: RecordedDecision;
  /** Of calls that are counted only when their requests are equal. */
  readonly digest?: string | undefined;
  readonly subject?: Subject | undefined;
  /** Of calls that continue one, as the pieces of a file. */
  readonly request?: RecordedRequest | undefined;
  readonly since: number;
  readonly count: number;
  /** Of calls only. */
  readonly code?: string | undefined;
  readonly bytes?: number | undefined;
  readonly durationUs?: number | undefined;
}

/** The position of a record in the chain. */
export interface Position {
  readonly sequence: number;
  readonly hash: string;
}

/** By method, then by result: `intent`, `refused`, or a status code. `*` holds names beyond the limit. */
export type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** The contents of a run of records: the position before it, its last record, and its counts. */
export interface Summary {
  readonly after: Position;
  readonly last: Position;
  readonly counts: Counts;
}

/** `FILE.kept`: the unmodified records that outlived their segments, and the hash of the file. */
export interface KeptSummary {
  readonly records: number;
  readonly sha256: string;
}

/**
 * The tree of the log that the last removed record belongs to, as it was after that record: the sequence number of its
 * first leaf, its key, and a Frontier of the tlog package as text. So proofs about the records that are left can be made.
 */
export interface TreeText {
  readonly first: number;
  /** As in its boot record. */
  readonly key?: string | undefined;
  readonly frontier: string;
}

/** Everything that rotation removed, from record 1 on. `counts` covers all of it, kept or not. */
export interface RemovedSummary extends Summary {
  /** Absent: the last removed record is of an earlier start of the agent. */
  readonly tree?: TreeText | undefined;
  /** Absent: there was nothing to keep. */
  readonly kept?: KeptSummary | undefined;
}

/** The last record of a segment. `removed`: what this rotation and earlier ones removed. */
export interface RotatedRecord extends Envelope {
  readonly kind: 'rotated';
  /** This segment without this record. */
  readonly segment: Summary;
  readonly removed?: RemovedSummary | undefined;
}

/** A torn last line was truncated when the log was opened. */
export interface RepairedRecord extends Envelope {
  readonly kind: 'repaired';
  readonly cutBytes: number;
}

/** Writing failed and works again, or records came faster than they could be written: `count` are missing. */
export interface LostRecord extends Envelope {
  readonly kind: 'lost';
  readonly count: number;
  readonly failure: string;
}

/** The agent is alive, and had nothing else to record for the time of a heartbeat. */
export interface HeartbeatRecord extends Envelope {
  readonly kind: 'heartbeat';
}
