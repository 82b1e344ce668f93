import type { Decision, RequestFacts, RequestSummary } from '@kata-agent/gate';
import type { CallResult, Subject } from './audit-log.js';
import type { Cut } from './bounded.js';

/** The order of members is the order in which they are written. FORMAT.md describes each kind. */
export type AuditRecord =
  | BootRecord
  | IntentRecord
  | OutcomeRecord
  | CallRecord
  | RefusalRecord
  | FoldRecord
  | RotatedRecord
  | RepairedRecord
  | LostRecord;

export type RecordKind = AuditRecord['kind'];

/** What a record says; place, time and hash are added when it is written. */
export type RecordBody = WithoutEnvelope<AuditRecord>;

type WithoutEnvelope<R> = R extends AuditRecord ? Omit<R, keyof Envelope> : never;

interface Envelope {
  /** Counts from 1, over restarts and segments, without a gap. */
  readonly sequence: number;
  readonly boot: string;
  /** Nanoseconds on the monotonic clock. */
  readonly monotonic: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly wall: string;
  /** Hash of the record before; 64 zeros for the first. */
  readonly prev: string;
  readonly hash: string;
}

interface Caller {
  readonly listener: string;
  /** `*`: more than one peer, in a fold record of refusals. */
  readonly peer: string;
  /** `*`: more than one method, in a fold record of refusals. */
  readonly method: string;
}

export interface RecordedDecision {
  readonly outcome: Decision['outcome'];
  /** The rule that refused; of a call that was served, the one that would have, were it not `enforcement = "audit"`. */
  readonly rule?: string | undefined;
  readonly reason: string;
}

/** With the mark of a cut where something is missing. */
export type RecordedFacts = RequestFacts & Partial<Cut>;

/** What a request that makes or changes something names; with the mark of a cut, as the facts. */
export type RecordedRequest = RequestSummary & Partial<Cut>;

/** The first record of a boot: digests, sources, version, as the agent gives them. */
export interface BootRecord extends Envelope {
  readonly kind: 'boot';
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

/** How it ended. `intent` is the sequence number of its IntentRecord. */
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

/** `count` calls or refusals like an earlier record, since `since` on the monotonic clock. */
export interface FoldRecord extends Envelope, Caller {
  readonly kind: 'fold';
  readonly of: 'call' | 'refusal';
  readonly decision: RecordedDecision;
  /** Of calls that are counted only where their requests are equal. */
  readonly digest?: string | undefined;
  readonly subject?: Subject | undefined;
  readonly since: number;
  readonly count: number;
  /** Of calls only. */
  readonly code?: string | undefined;
  readonly bytes?: number | undefined;
  readonly durationUs?: number | undefined;
}

/** Where a record stands in the chain. */
export interface Position {
  readonly sequence: number;
  readonly hash: string;
}

/** By method, then by result: `intent`, `refused`, or a status code. `*` holds what had no room of its own. */
export type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What a run of records held: the record before it, its last one, and its counts. */
export interface Summary {
  readonly after: Position;
  readonly last: Position;
  readonly counts: Counts;
}

/** `FILE.kept`: the records that outlived their segments, as they were, and the hash of the file's bytes. */
export interface KeptSummary {
  readonly records: number;
  readonly sha256: string;
}

/** All that rotation took away, from record 1 on. `counts` are of all of it, kept or not. */
export interface RemovedSummary extends Summary {
  readonly kept?: KeptSummary | undefined;
}

/** The last record of a segment. `removed`: what earlier and this rotation took away. */
export interface RotatedRecord extends Envelope {
  readonly kind: 'rotated';
  /** This segment, this record not included. */
  readonly segment: Summary;
  readonly removed?: RemovedSummary | undefined;
}

/** A torn last line was cut away when the log was opened. */
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
