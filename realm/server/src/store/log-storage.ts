import type { Position } from '@kata-agent/audit';

/**
 * The state of the log of a guest in the store:
 *
 * - `none`: no record has arrived yet.
 * - `not-served`: the guest's listener does not serve WatchAudit.
 * - `verified`: each record follows the one before, from record 1 on.
 * - `gap`: the same, but records are missing. Rotation removed them before they were collected, or they were withheld.
 * - `second-log`: the guest has sent another log than before, or the record of a second boot.
 * - `clone`: two guests with its key are there at once.
 * - `broken`: a line is no record, or does not follow. It is not stored.
 * - `fork`: its key has signed two trees that are not one log, or another tree than that of the records that it sent.
 * - `full`: the store has as many bytes of this guest as it may have; no more are collected.
 * - `failed`: the store is full, cannot be written, or was changed by something else; it is tried again.
 */
export const logStates = [
  'none',
  'not-served',
  'verified',
  'gap',
  'second-log',
  'clone',
  'broken',
  'fork',
  'full',
  'failed',
] as const;

/** The last record of a log. */
export interface LastRecord {
  readonly position: Position;
  /** Its exact bytes, without the newline. */
  readonly line: Buffer;
}

/** What a guest was when it connected last. */
export interface DescribedGuest {
  readonly id: string;
  readonly name: string;
  readonly entry: string;
  /** The remote address; of IPv6 its /64. */
  readonly from: string;
  /** RFC 3339. */
  readonly connectedAt: string;
  readonly version?: string;
  readonly bootId?: string;
  readonly configurationDigest?: string;
}

/** Returns lines with a newline after each. */
export function joinLines(lines: readonly Buffer[]): Buffer {
  const newline = Buffer.from('\n');
  return Buffer.concat(lines.flatMap((line) => [line, newline]));
}

/** What is kept beside a log: its newest checkpoint that agrees with it, and what is known of its Merkle tree. */
export type BesideName = 'checkpoint' | 'tree';

/** The records of one log, exactly as they arrived. It is only appended to. */
export interface StoredLog {
  /** The path of a file, or a subject. */
  readonly path: string;
  /** Bytes of complete lines. */
  readonly size: number;
  /** The sequence number of the first record. */
  readonly first: number | undefined;
  readonly last: LastRecord | undefined;
  /** Appends lines, which are the records after the last one. When it throws, `refresh` tells whether they are stored. */
  append(lines: readonly Buffer[], first: number, last: LastRecord): Promise<void>;
  /** Reads again what is stored, if something else could have written. */
  refresh(): Promise<void>;
  /** Returns what is kept beside the log; undefined if there is nothing. */
  beside(name: BesideName): Promise<string | undefined>;
  /** Replaces it. */
  putBeside(name: BesideName, text: string): Promise<void>;
  /** Makes what is written durable. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Where the logs of one guest are stored. */
export interface LogStorage {
  /** Opens what is stored. `otherBytes`: of the guest, beside the newest log. */
  open(): Promise<{
    readonly notes: readonly LogNote[];
    readonly otherBytes: number;
    readonly newest: StoredLog | undefined;
  }>;
  /**
   * Opens the log whose first record has a hash that begins with `name`, 32 hex digits; it can have records already. Throws a
   * StoreError if the guest has too many logs.
   */
  create(name: string): Promise<StoredLog>;
  /** Adds a note, durably. Returns the bytes that it takes. */
  note(note: LogNote): Promise<number>;
  describe(described: DescribedGuest): Promise<void>;
  /** Says the state of the log to other replicas, for the time after this one has it. */
  report(log: CollectedLog): Promise<void>;
  /** What the guest was when it connected last; undefined if that is not known. */
  described(): Promise<DescribedGuest | undefined>;
}

/** Logs of one guest that are stored. */
export const maxLogs = 8;

export type LogState = (typeof logStates)[number];

/** What is stored of a guest's log. */
export interface CollectedLog {
  readonly state: LogState;
  readonly records: number;
  /** 0: none. */
  readonly lastSequence: number;
  /** No record has come for three heartbeats. */
  readonly isSilent?: boolean;
}

/** Returns the lines of bytes that end with a newline, without it. */
export function completeLines(bytes: Buffer): readonly Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0) break;
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

/** What a realm notes about a log beside it: what its records do not say themselves. */
export type LogNote =
  /** The record of the boot that made the guest's key. `heartbeatMs`: how often there is a record at least, if it says so. */
  { readonly kind: 'own-boot'; readonly sequence: number; readonly heartbeatMs?: number } | LogFault;

/** A fault of a log. None is forgotten: it decides about the log's state from then on. */
export interface LogFault {
  /**
   * `gap`: records are missing before this one. `broken`: a line is no record, or does not follow; it is not stored.
   * `second-log`: the guest has another log than the one that it sent before. `clone`: two guests with its key are there at once.
   * `fork`: its key has signed two trees that are not one log, or another tree than that of the records that it sent.
   */
  readonly kind: 'gap' | 'broken' | 'second-log' | 'clone' | 'fork';
  /** Of the record; 0 if it is not known. */
  readonly sequence: number;
  readonly what: string;
  /** Of a gap: how many records are missing. */
  readonly missing?: number;
  /** Of a line that is not stored, or a checkpoint that contradicts the log: its SHA-256, and its begin. */
  readonly sha256?: string;
  readonly line?: string;
}
