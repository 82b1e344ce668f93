import type { AuditRecord } from '@kata-agent/audit';
import type { LogIdentity } from './log-identity.js';
import type { KeptLines } from './sent-file.js';

/** A line, and its record. */
export interface SentLine {
  readonly line: Buffer;
  readonly record: AuditRecord;
}

/** Where a log that is sent is kept beside its position. */
export interface SentLog {
  readonly identity: LogIdentity;
  /** The last lines that were sent, oldest first. */
  readonly sent: readonly SentLine[];
  /** Keeps lines that the receiver has refused. Returns the path of their file. */
  persistRejected(lines: readonly SentLine[], why: string): Promise<string>;
}

/** Sends records to a receiver that cannot be asked what it has. */
export interface Forwarder {
  /** How many of the last lines are kept to be sent again. */
  readonly keep: KeptLines;
  /** Resolves when the receiver can be tried. Rejects when the collector ends. */
  ready(): Promise<void>;
  /** Begins to send a log: after a new connection its last lines may be sent again. Returns how to end it. */
  attach(log: SentLog): () => void;
  /** Sends lines. Resolves when they are the receiver's, as far as its protocol says; rejects if they must be sent again. */
  send(log: SentLog, lines: readonly SentLine[]): Promise<void>;
  close(): Promise<void>;
}
