import { createHash } from 'node:crypto';
import { type AuditRecord, LinkCheck, type Position, positionOf } from '@kata-agent/audit';
import type {
  BesideName,
  CollectedLog,
  DescribedGuest,
  LastRecord,
  LogState,
  LogStorage,
  StoredLog,
  LogFault,
  LogNote,
} from './log-storage.js';
import { LogNotes, notesOfBoot } from './log-notes.js';
import type { StoredRecords } from './stored-tree.js';

/** A longer line is no record: with facts one has less than 32 KiB, at boot 64. */
const maxRecordBytes = 256 * 1024;
/** Bytes of one write. They are verified in one turn of the event loop, in about a millisecond. */
const batchBytes = 128 * 1024;
/** Bytes of a line that is not stored, for its note. */
const quotedBytes = 1024;

export interface GuestLogsOptions {
  /** Where the logs are stored. */
  readonly storage: LogStorage;
  /** Limit of bytes for one guest. */
  readonly maxBytes: number;
  /** Is called with each fault, also if it was noted before. */
  readonly onFault: (id: string, fault: LogFault) => void;
  /** Is called with the numbers of what was written, and the ID of the guest. */
  readonly onWritten: (records: number, bytes: number, id: string) => void;
  /** Is called with each record that was written, and its line. */
  readonly onRecord?: (record: AuditRecord, line: Buffer) => void;
  /** Is called with the sequence number of each record of a boot that is not the first record. */
  readonly onBoot?: (sequence: number) => void;
}

interface Held {
  readonly path: string | undefined;
  readonly first: number | undefined;
  readonly sequence: number;
}

/**
 * The logs that a store has of one guest: normally one. Lines are verified before they are written; nothing is
 * overwritten. There is one caller at a time.
 */
export class GuestLogs {
  readonly id: string;
  readonly #options: GuestLogsOptions;
  #opened = false;
  #file: StoredLog | undefined;
  #closed: Held = { path: undefined, first: undefined, sequence: 0 };
  #described: DescribedGuest | undefined;
  readonly #notes: LogNotes;
  /** Bytes of the guest's other files. */
  #otherBytes = 0;
  #check = new LinkCheck();
  /** The first line of a watch must be this one, which is stored already. */
  #overlap: LastRecord | undefined;
  /** The number of the record that was not sent again: the guest may have another log. */
  #awaitsOther: number | undefined;
  /** The key that evidence of the guest binds; undefined: it is not attested. */
  attestedKey: string | undefined;
  #isWriting = false;
  #isSilent = false;
  #trouble: Extract<LogState, 'not-served' | 'full' | 'failed'> | undefined;

  constructor(id: string, options: GuestLogsOptions) {
    if (!/^[0-9a-f]{64}$/.test(id)) throw new TypeError(`'${id}' is not the ID of a guest`);
    this.id = id;
    this.#options = options;
    this.#notes = new LogNotes(options.storage);
  }

  get log(): CollectedLog {
    const { first, sequence } = this.#held;
    const silent = this.#isSilent ? { isSilent: true } : {};
    if (first === undefined) return { state: this.#state, records: 0, lastSequence: 0, ...silent };
    const missing = this.#notes.missing(first, sequence);
    return { state: this.#state, records: sequence - first + 1 - missing, lastSequence: sequence, ...silent };
  }

  get #state(): LogState {
    // What the key has signed outside of its log stays wrong, whatever happens to the collecting.
    if (this.#notes.has('fork')) return 'fork';
    if (this.#trouble !== undefined) return this.#trouble;
    return this.#notes.state ?? (this.#held.first === undefined ? 'none' : 'verified');
  }

  /** Why no witness may believe that this is one log; undefined: it can be. */
  get contradiction(): LogFault | undefined {
    return this.#notes.contradiction;
  }

  /** How often the guest has a record at least, as its boot record says; undefined: it does not. */
  get heartbeatMs(): number | undefined {
    return this.#notes.ownBoot?.heartbeatMs;
  }

  /** Notes whether the guest is silent. */
  set isSilent(isSilent: boolean) {
    this.#isSilent = isSilent;
  }

  /** The records that are written now, on a path of files; undefined while the log is not open. */
  get stored(): StoredRecords | undefined {
    return this.#file?.last === undefined ? undefined : { path: this.#file.path, size: this.#file.size };
  }

  /** The path of the file that is written now, or was last. */
  get path(): string | undefined {
    return this.#held.path;
  }

  /** What the guest was when it connected last; undefined if that is not known. */
  get described(): DescribedGuest | undefined {
    return this.#described;
  }

  /** What the current file has, or had when it was closed. */
  get #held(): Held {
    if (this.#file === undefined) return this.#closed;
    const { path, first, last } = this.#file;
    return { path, first, sequence: last?.position.sequence ?? 0 };
  }

  /** Why nothing is collected; undefined when it is. */
  set trouble(trouble: 'not-served' | 'failed' | undefined) {
    this.#trouble = trouble;
  }

  /** Writes what is known of the guest beside its logs. */
  async describe(described: DescribedGuest): Promise<void> {
    this.#described = described;
    await this.#options.storage.describe(described);
  }

  /** Reads what the store has, without keeping a file open. Throws as `begin`. */
  async load(): Promise<void> {
    this.#described = await this.#options.storage.described();
    await this.#open();
    await this.close();
  }

  /**
   * Prepares for a watch. Returns the sequence number to ask for: the last record that is stored, which the guest must
   * have unchanged. Throws a StoreError or the system's error if the store cannot be used.
   */
  async begin(): Promise<number> {
    if (this.#opened) await this.#file?.refresh();
    else await this.#open();
    this.#opened = true;
    const last = this.#file?.last;
    this.#overlap = last;
    this.#check = last === undefined ? new LinkCheck({ from: 1 }) : new LinkCheck({ after: last.position });
    this.#trouble = this.#bytes >= this.#options.maxBytes ? 'full' : undefined;
    return last?.position.sequence ?? 1;
  }

  /** The position of the last record that is stored; undefined: there is none. After `begin`. */
  get last(): Position | undefined {
    return this.#file?.last?.position;
  }

  /** The sequence number of the first record that is stored. */
  get first(): number | undefined {
    return this.#held.first;
  }

  get isFull(): boolean {
    return this.#trouble === 'full';
  }

  /** Whether lines are being written: meanwhile the connection of the guest may not be read. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** Whether the first record of this watch, which is stored already, has not arrived yet. */
  get awaitsOverlap(): boolean {
    return this.#overlap !== undefined;
  }

  /**
   * Verifies and writes lines, in the order in which they arrive. `again`: the guest has another log, which must be
   * asked for by `begin`. `stop`: nothing more is to be collected in this connection. Throws the system's error if the
   * store cannot be written; then `begin` must be called too.
   */
  async take(lines: readonly Uint8Array[]): Promise<'more' | 'again' | 'stop'> {
    this.#isWriting = true;
    try {
      return await this.#take(lines);
    } finally {
      this.#isWriting = false;
    }
  }

  async #take(lines: readonly Uint8Array[]): Promise<'more' | 'again' | 'stop'> {
    let batch: Buffer[] = [];
    let records: AuditRecord[] = [];
    let size = 0;
    const flush = async (): Promise<void> => {
      await this.#write(batch, records);
      batch = [];
      records = [];
      size = 0;
    };
    for (const given of lines) {
      const line = Buffer.from(given.buffer, given.byteOffset, given.length);
      const known = this.#overlap;
      this.#overlap = undefined;
      if (known?.line.equals(line) === true) continue;
      if (line.length > maxRecordBytes) {
        await flush();
        await this.#fault(
          broken(line, `a line has ${line.length} bytes: no record has more than ${maxRecordBytes}`),
        );
        return 'stop';
      }
      const { record, fault } = this.#check.next(line);
      if (fault !== undefined && fault.kind !== 'missing') {
        await flush();
        if (known !== undefined && record !== undefined) return await this.#otherLog(known, line);
        await this.#fault(broken(line, fault.what, record?.sequence));
        return 'stop';
      }
      if (record === undefined) continue;
      if (this.#bytes + size + line.length + 1 > this.#options.maxBytes) {
        await flush();
        this.#trouble = 'full';
        return 'stop';
      }
      if (this.#file === undefined && (await this.#create(record)) === 'again') return 'again';
      if (fault !== undefined) {
        await flush();
        const { what, count = 0 } = fault;
        await this.#fault({ kind: 'gap', sequence: record.sequence, what, missing: count });
      }
      if (record.kind === 'boot') await this.#noteBoot(record);
      batch.push(line);
      records.push(record);
      size += line.length + 1;
      if (size >= batchBytes) await flush();
    }
    await flush();
    return 'more';
  }

  /** Reports that the guest does not send the record that it has sent before. */
  async noteWithheld(): Promise<void> {
    const sequence = this.#overlap?.position.sequence ?? 0;
    await this.#fault({
      kind: 'broken',
      sequence,
      what: `record ${sequence}, which is stored, is not sent again: the log was truncated, or it is withheld`,
    });
  }

  /** After that: the next watch begins with record 1, since the guest can have another log, which is shorter. */
  async expectOtherLog(): Promise<void> {
    this.#awaitsOther = this.#file?.last?.position.sequence;
    await this.#leaveLog();
  }

  /** Reports and notes a fault that does not follow from the records alone. */
  async report(fault: LogFault): Promise<void> {
    await this.#fault(fault);
  }

  /** Returns what is kept beside the log that is written now. */
  async beside(name: BesideName): Promise<string | undefined> {
    return await this.#file?.beside(name);
  }

  /** Replaces what is kept beside the log that is written now. */
  async putBeside(name: BesideName, text: string): Promise<void> {
    await this.#file?.putBeside(name, text);
  }

  /** Makes everything durable. */
  async sync(): Promise<void> {
    await this.#file?.sync();
  }

  /** Closes the files, durably. What is known of them stays. */
  async close(): Promise<void> {
    this.#opened = false;
    this.#closed = this.#held;
    this.#overlap = undefined;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    await this.#options.storage.report(this.log);
  }

  get #bytes(): number {
    return this.#otherBytes + (this.#file?.size ?? 0);
  }

  async #open(): Promise<void> {
    const { notes, otherBytes, newest } = await this.#options.storage.open();
    this.#notes.load(notes);
    this.#otherBytes = otherBytes;
    this.#closed = { path: undefined, first: undefined, sequence: 0 };
    this.#file = newest;
  }

  /** Opens the log that begins with this record. `again`: it has records already. */
  async #create(record: AuditRecord): Promise<'new' | 'again'> {
    const log = await this.#options.storage.create(record.hash.slice(0, 32));
    this.#file = log;
    this.#otherBytes -= log.size;
    const before = this.#awaitsOther;
    this.#awaitsOther = undefined;
    if (log.last !== undefined) return 'again';
    if (before !== undefined) {
      const what = `the guest has another log, without the record ${before} that is stored`;
      await this.#fault({ kind: 'second-log', sequence: before, what });
    }
    return 'new';
  }

  /** The first line of a watch is neither the record that is stored nor one that follows it. */
  async #otherLog({ position: { sequence } }: LastRecord, line: Buffer): Promise<'again'> {
    const what = `the guest has another log: its record ${sequence} is not the one that is stored`;
    await this.#fault({ kind: 'second-log', sequence, what, ...quoted(line) });
    await this.#leaveLog();
    return 'again';
  }

  /** Closes the log, so that the guest's next record begins another one. */
  async #leaveLog(): Promise<void> {
    this.#otherBytes = this.#bytes;
    const file = this.#file;
    this.#file = undefined;
    this.#overlap = undefined;
    this.#closed = { path: undefined, first: undefined, sequence: 0 };
    await file?.close();
  }

  async #write(lines: readonly Buffer[], records: readonly AuditRecord[]): Promise<void> {
    const [first] = records;
    const last = records.at(-1);
    const line = lines.at(-1);
    if (this.#file === undefined || first === undefined || last === undefined || line === undefined) return;
    const before = this.#file.size;
    await this.#file.append(lines, first.sequence, { position: positionOf(last), line });
    this.#options.onWritten(records.length, this.#file.size - before, this.id);
    const { onRecord } = this.#options;
    if (onRecord !== undefined)
      for (const [at, record] of records.entries()) onRecord(record, lines[at] as Buffer);
  }

  async #noteBoot(record: Extract<AuditRecord, { kind: 'boot' }>): Promise<void> {
    if (record.sequence > 1) this.#options.onBoot?.(record.sequence);
    const known = { id: this.id, ownBoot: this.#notes.ownBoot?.sequence, attestedKey: this.attestedKey };
    for (const note of notesOfBoot(record, known))
      await (note.kind === 'own-boot' ? this.#note(note) : this.#fault(note));
  }

  async #fault(fault: LogFault): Promise<void> {
    this.#options.onFault(this.id, fault);
    await this.#note(fault);
    await this.#options.storage.report(this.log);
  }

  async #note(note: LogNote): Promise<void> {
    this.#otherBytes += await this.#notes.add(note);
  }
}

function broken(line: Buffer, what: string, sequence = 0): LogFault {
  return { kind: 'broken', sequence, what, ...quoted(line) };
}

function quoted(line: Buffer): Pick<LogFault, 'sha256' | 'line'> {
  return {
    sha256: createHash('sha256').update(line).digest('hex'),
    line: line.toString('latin1', 0, quotedBytes),
  };
}
