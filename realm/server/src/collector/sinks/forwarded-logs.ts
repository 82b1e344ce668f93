import { constants } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type AuditRecord, makeDirectory, positionOf, readRecord } from '@kata-agent/audit';
import {
  fileBeside,
  openOwnFile,
  readOwnFile,
  StoreError,
  writeFileAtomically,
} from '../../store/own-file.js';
import { parseNotes } from '../../store/log-notes.js';
import {
  type BesideName,
  completeLines,
  type DescribedGuest,
  joinLines,
  type LastRecord,
  type LogStorage,
  type StoredLog,
  type LogNote,
} from '../../store/log-storage.js';
import type { LogIdentity } from './record-fields.js';

/** The file is not replaced before it has as many: that takes longer than to append. */
const minLines = 1_024;

const minBytes = 512 * 1024;

/** Of one agent: beyond them only their number and the alert are left. */
const maxRejectedBytes = 64 * 1024 * 1024;

/**
 * The logs of an agent that are sent to a receiver. A directory of the collector has what the receiver cannot be asked for:
 * `HASH.sent`, the position and the last lines, `notes`, and `rejected`, lines that the receiver has refused.
 */
export class ForwardedLogs implements LogStorage {
  readonly #directory: string;
  readonly #agent: string;
  readonly #forwarder: Forwarder;

  constructor(directory: string, agent: string, forwarder: Forwarder) {
    this.#directory = directory;
    this.#agent = agent;
    this.#forwarder = forwarder;
  }

  async open(): ReturnType<LogStorage['open']> {
    await makeDirectory(this.#directory);
    const notes = parseNotes(await textOf(join(this.#directory, 'notes')));
    let newest: { readonly origin: string; readonly mtimeMs: number } | undefined;
    for (const name of await readdir(this.#directory)) {
      const [, origin] = /^([0-9a-f]{32})\.sent$/.exec(name) ?? [];
      if (origin === undefined) continue;
      const { mtimeMs } = await stat(join(this.#directory, name));
      if (newest === undefined || newest.mtimeMs < mtimeMs) newest = { origin, mtimeMs };
    }
    const log = newest === undefined ? undefined : await this.#log(newest.origin);
    return { notes, otherBytes: 0, newest: log?.last === undefined ? undefined : log };
  }

  /** As many as the agent has: only their positions are stored. */
  async create(name: string): Promise<StoredLog> {
    return await this.#log(name);
  }

  async note(note: LogNote): Promise<number> {
    const text = `${JSON.stringify({ ...note, at: new Date().toISOString() })}\n`;
    await append(join(this.#directory, 'notes'), Buffer.from(text));
    return 0;
  }

  async describe(described: DescribedGuest): Promise<void> {
    await makeDirectory(this.#directory);
    await writeFileAtomically(join(this.#directory, 'guest.json'), `${JSON.stringify(described)}\n`);
  }

  /** Nothing: the state is read from the files. */
  async report(): Promise<void> {}

  async described(): Promise<DescribedGuest | undefined> {
    return undefined;
  }

  async #log(origin: string): Promise<ForwardedLog> {
    const path = join(this.#directory, `${origin}.sent`);
    const file = await SentFile.open(path, this.#forwarder.keep);
    const persistRejected = (lines: readonly SentLine[], why: string): Promise<string> =>
      this.#persistRejected(origin, lines, why);
    return new ForwardedLog(path, { agent: this.#agent, origin }, file, this.#forwarder, persistRejected);
  }

  async #persistRejected(origin: string, lines: readonly SentLine[], why: string): Promise<string> {
    const path = join(this.#directory, 'rejected');
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    const head = Buffer.from(
      JSON.stringify({ origin, at: new Date().toISOString(), lines: lines.length, why: why.slice(0, 1024) }),
    );
    const bytes = joinLines([head, ...lines.map(({ line }) => line)]);
    if (size + bytes.length <= maxRejectedBytes) await append(path, bytes);
    return path;
  }
}

class ForwardedLog implements StoredLog, SentLog {
  readonly path: string;
  readonly size = 0;
  readonly identity: LogIdentity;
  readonly persistRejected: SentLog['persistRejected'];
  readonly #file: SentFile;
  readonly #forwarder: Forwarder;
  readonly #detach: () => void;
  #sent: SentLine[];

  constructor(
    path: string,
    identity: LogIdentity,
    file: SentFile,
    forwarder: Forwarder,
    persistRejected: SentLog['persistRejected'],
  ) {
    this.path = path;
    this.identity = identity;
    this.persistRejected = persistRejected;
    this.#file = file;
    this.#forwarder = forwarder;
    this.#sent = file.lines.map((line) => ({ line, record: recordOf(line, path) }));
    this.#detach = forwarder.attach(this);
  }

  get first(): number | undefined {
    return this.#file.first;
  }

  get last(): LastRecord | undefined {
    const last = this.#sent.at(-1);
    return last === undefined ? undefined : { position: positionOf(last.record), line: last.line };
  }

  get sent(): readonly SentLine[] {
    return this.#sent;
  }

  async append(lines: readonly Buffer[], first: number): Promise<void> {
    const added = lines.map((line) => ({ line: Buffer.from(line), record: recordOf(line, this.path) }));
    await this.#forwarder.send(this, added);
    // At once: a connection that ends now makes them be sent again.
    this.#sent = [...this.#sent, ...added].slice(-this.#forwarder.keep.lines);
    await this.#file.append(lines, first);
    this.#sent = this.#sent.slice(-this.#file.lines.length);
  }

  /** What was sent is known here. Waits until the receiver can be tried. */
  async refresh(): Promise<void> {
    await this.#forwarder.ready();
  }

  async beside(name: BesideName): Promise<string | undefined> {
    return await fileBeside(this.path, name).read();
  }

  async putBeside(name: BesideName, text: string): Promise<void> {
    await fileBeside(this.path, name).write(text);
  }

  async sync(): Promise<void> {
    await this.#file.sync();
  }

  async close(): Promise<void> {
    this.#detach();
    await this.#file.close();
  }
}

function recordOf(line: Buffer, path: string): SentLine['record'] {
  const read = readRecord(line);
  if (read.ok) return read.record;
  throw new StoreError(
    `${path} has a line that is not a record: ${read.what}`,
    'something else has written it: move it away; records that were sent are then sent again',
  );
}

async function append(path: string, bytes: Buffer): Promise<void> {
  const file = await openOwnFile(path, 'append');
  try {
    await file.appendFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function textOf(path: string): Promise<string> {
  return (await readOwnFile(path))?.toString() ?? '';
}

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

/** How many of the last lines are kept. At least one. */
interface KeptLines {
  readonly lines: number;
  readonly bytes: number;
}

/**
 * The last lines of a log that were sent, in a file: `{"first":N}`, the sequence number of the log's first record, and then the
 * lines. It is appended to, and replaced when it has twice as many as it needs.
 */
export class SentFile {
  readonly #path: string;
  readonly #keep: KeptLines;
  #file: FileHandle | undefined;
  #first: number | undefined;
  #lines: Buffer[];
  /** Of the lines in the file, of which the last are kept. */
  #written: { lines: number; bytes: number };
  /** The file may have more than `#lines`. */
  #torn: boolean;

  private constructor(
    path: string,
    keep: KeptLines,
    first: number | undefined,
    lines: Buffer[],
    torn: boolean,
  ) {
    this.#path = path;
    this.#keep = keep;
    this.#first = first;
    this.#lines = lines;
    this.#written = { lines: lines.length, bytes: bytesOf(lines) };
    this.#torn = torn;
  }

  /** Reads the file, which can be missing; a torn last line is left out. Throws a StoreError if it is not of this form. */
  static async open(path: string, keep: KeptLines): Promise<SentFile> {
    const bytes = (await readOwnFile(path)) ?? Buffer.alloc(0);
    const [head, ...lines] = completeLines(bytes);
    if (head === undefined) return new SentFile(path, keep, undefined, [], bytes.length > 0);
    const first = Number(/^\{"first":(\d{1,16})\}$/.exec(head.toString('latin1'))?.[1] ?? 0);
    if (first === 0 || lines.length === 0)
      throw new StoreError(
        `${path} is not a position of a collector`,
        'something else has written it: move it away; records that were sent are then sent again',
      );
    const sent = new SentFile(path, keep, first, lines, bytes.at(-1) !== 0x0a);
    sent.#drop();
    return sent;
  }

  /** The sequence number of the first record of the log. */
  get first(): number | undefined {
    return this.#first;
  }

  /** The last lines, oldest first. */
  get lines(): readonly Buffer[] {
    return this.#lines;
  }

  /** Adds lines that were sent; `first` is the sequence number of the first of them. */
  async append(lines: readonly Buffer[], first: number): Promise<void> {
    // Copies: they are parts of frames, which they would keep in memory.
    this.#lines.push(...lines.slice(-this.#keep.lines).map((line) => Buffer.from(line)));
    this.#drop();
    const isNew = this.#first === undefined;
    this.#first ??= first;
    const added = this.#lines.slice(-lines.length);
    const bytes = bytesOf(added);
    const max = Math.max(this.#keep.lines, minLines);
    const maxBytes = Math.max(this.#keep.bytes, minBytes);
    const { lines: count, bytes: size } = this.#written;
    if (isNew || this.#torn || count + added.length > 2 * max || size + bytes > 2 * maxBytes) {
      await this.#replace();
      return;
    }
    this.#torn = true;
    this.#file ??= await open(this.#path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
    await this.#file.appendFile(joinLines(added));
    this.#written = { lines: count + added.length, bytes: size + bytes };
    this.#torn = false;
  }

  /** Makes it durable. Without it, a crash of the machine makes more records be sent again. */
  async sync(): Promise<void> {
    await this.#file?.datasync();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  async #replace(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    this.#torn = true;
    await writeFileAtomically(
      this.#path,
      `{"first":${this.#first}}\n${joinLines(this.#lines).toString('latin1')}`,
    );
    this.#written = { lines: this.#lines.length, bytes: bytesOf(this.#lines) };
    this.#torn = false;
  }

  #drop(): void {
    let { length } = this.#lines;
    let bytes = bytesOf(this.#lines);
    let from = 0;
    for (; length > 1 && (length > this.#keep.lines || bytes > this.#keep.bytes); length -= 1, from += 1)
      bytes -= (this.#lines[from]?.length ?? 0) + 1;
    if (from > 0) this.#lines = this.#lines.slice(from);
  }
}

function bytesOf(lines: readonly Buffer[]): number {
  return lines.reduce((sum, { length }) => sum + length + 1, 0);
}
