import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory, positionOf, readRecord } from '@kata-agent/audit';
import { fileBeside } from '../../store/file-beside.js';
import { type LogNote, parseNotes } from '../../store/log-note.js';
import {
  type BesideName,
  type DescribedGuest,
  joinLines,
  type LastRecord,
  type LogStorage,
  type StoredLog,
} from '../../store/log-storage.js';
import { StoreError } from '../../store/store-error.js';
import { writeFileAtomically } from '../../store/write-file-atomically.js';
import type { Forwarder, SentLine, SentLog } from './forwarder.js';
import type { LogIdentity } from './log-identity.js';
import { SentFile } from './sent-file.js';
import { openOwnFile, readOwnFile } from '../../store/own-file.js';

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
