import type { Interval } from './time-histogram.js';

/** What an audit log says that an agent did. All texts are as recorded, shortened: callers chose many of them. */
export interface Activity {
  readonly records: number;
  /** Lines that are not records; `audit verify` names them. */
  readonly unreadable: number;
  /** Of the first and the last record, as the guest's clock had it. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly calls: number;
  readonly denied: number;
  readonly failed: number;
  /** Calls that were served, and that a rule which only records would have denied. */
  readonly wouldDeny: number;
  /** Records that could not be written. */
  readonly lost: number;
  readonly starts: Starts;
  /** What rotation has removed; undefined: nothing. */
  readonly removed: Removed | undefined;
  readonly peers: Listed<PeerActivity>;
  readonly methods: Listed<MethodActivity>;
  readonly containers: Listed<ContainerActivity>;
  readonly execs: Listed<ExecActivity>;
  readonly denials: Listed<Denial>;
  readonly recordedOnly: Listed<Denial>;
  readonly intervals: readonly Interval[];
  readonly events: Listed<LogEvent>;
}

/** Rows of a table, and how many records belong to rows that are not shown. */
export interface Listed<Row> {
  readonly rows: readonly Row[];
  readonly beyond: number;
}

/** The starts of the agent, by their boot records. */
interface Starts {
  readonly count: number;
  /** How many records are before the first one: of a start whose boot record rotation has removed. */
  readonly earlierRecords: number;
  /** By the digest of their configuration. */
  readonly configurations: Listed<StartedConfiguration>;
}

export interface StartedConfiguration {
  /** In lower-case hex; undefined: the boot record has none. */
  readonly digest: string | undefined;
  readonly starts: number;
  /** Sequence number of the first boot record with it. */
  readonly sequence: number;
}

/** What the log says of all records that rotation has removed, kept or not. */
export interface Removed {
  /** Sequence number of the last one; the first is 1. */
  readonly last: number;
  /** How many of them were kept; these are counted in the activity too. */
  readonly kept: number;
  readonly methods: Listed<RemovedMethod>;
}

/** Records of a method, by the counts of the log: a call that changed something has two. */
export interface RemovedMethod {
  readonly method: string;
  readonly records: number;
  readonly denied: number;
}

export interface PeerActivity {
  readonly listener: string;
  readonly peer: string;
  /** As a trusted server says. */
  readonly claimedOperator: string | undefined;
  readonly calls: number;
  readonly denied: number;
  readonly failed: number;
  readonly execs: number;
  readonly first: string;
  readonly last: string;
}

export interface MethodActivity {
  readonly method: string;
  readonly calls: number;
  readonly denied: number;
  readonly failed: number;
}

export interface ContainerActivity {
  readonly containerId: string;
  readonly time: string;
  /** As the host claims. */
  readonly image: string | undefined;
  /** The digest that the guest has verified, if it got the image itself. */
  readonly verifiedDigest: string | undefined;
  readonly signatures: readonly string[];
  readonly command: Command;
  readonly user: string | undefined;
  readonly privileges: readonly string[];
  /** Sealed secrets that the guest asked for, whether it got them or not; the first ones of `secretCount`. */
  readonly secrets: readonly string[];
  readonly secretCount: number;
  /** `OK`, `denied`, another status, or undefined: the outcome is not recorded. */
  readonly result: string | undefined;
}

/** `arguments`: the whole argv. `program`: argv[0], since arguments are recorded with `[audit] facts` only. */
export interface Command {
  readonly kind: 'arguments' | 'program' | 'not recorded';
  readonly words: readonly string[];
}

export interface ExecActivity {
  readonly listener: string;
  readonly peer: string;
  readonly containerId: string;
  readonly command: Command;
  readonly user: string | undefined;
  readonly calls: number;
  readonly denied: number;
  readonly first: string;
  readonly last: string;
}

/** Denied calls with the same caller, method, rule and reason. */
export interface Denial {
  readonly count: number;
  /** Sequence number of the first record. */
  readonly sequence: number;
  readonly first: string;
  readonly last: string;
  readonly listener: string;
  readonly peer: string;
  readonly method: string;
  readonly containerId: string | undefined;
  readonly code: string | undefined;
  readonly rule: string | undefined;
  readonly reason: string;
}

export type EventKind = 'start' | 'gap' | 'checkpoint' | 'clock' | 'rotation' | 'repair';

export interface LogEvent {
  readonly kind: EventKind;
  readonly sequence: number;
  readonly time: string;
  /** Milliseconds since 1970; undefined: the record's time is no time. */
  readonly at: number | undefined;
  readonly text: string;
}
