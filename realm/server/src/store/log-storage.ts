import type { Position } from '@kata-agent/audit';
import type { CollectedLog } from './collected-log.js';
import type { LogNote } from './log-note.js';

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
