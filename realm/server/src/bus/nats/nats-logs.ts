import {
  type BesideName,
  type CollectedLog,
  completeLines,
  type DescribedGuest,
  joinLines,
  type LastRecord,
  type LogStorage,
  maxLogs,
  type StoredLog,
  type LogNote,
} from '../../store/log-storage.js';
import { randomBytes } from 'node:crypto';
import { positionOf, readRecord, sequenceOf } from '@kata-agent/audit';
import {
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type StoredMsg,
} from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import { headers } from '@nats-io/transport-node';
import { notesOf } from '../../store/log-notes.js';
import type { ReadOptions } from '../../store/store.js';
import { StoreError } from '../../store/own-file.js';
import { type KnownGuest, type Malformed, parseKnownGuest } from './bus-messages.js';
import { hex, type LogNames } from './subjects.js';
import { type Change, isConflict, parseJson, WatchedBucket } from './watched-bucket.js';

const firstHeader = 'Kata-First';
const sizeHeader = 'Kata-Size';
const attempts = 4;
/** Bytes that a reader has asked for and not taken. */
const readAhead = 1024 * 1024;
const maxNoteBytes = 384 * 1024;

export interface NatsLogsOptions {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly names: LogNames;
  /** What is known of guests, and the notes about their logs. */
  readonly known: KV;
  /** Resolves when the bus is connected. Rejects when the realm ends. */
  readonly connected: () => Promise<void>;
  /** Rejects when the bus is not connected, or is disconnected before the work has ended. */
  readonly whileConnected: <T>(work: () => Promise<T>) => Promise<T>;
  readonly onFailure: (error: Error) => void;
  readonly malformed: Malformed;
}

/**
 * Logs of guests in a stream: one subject a log. A message has lines that were verified together, so that they are stored
 * completely or not at all, and is accepted only after the message that its sender knows as the last one.
 */
export class NatsLogs {
  readonly bucket: WatchedBucket;
  readonly #options: NatsLogsOptions;
  readonly #known = new Map<string, KnownGuest>();

  constructor(options: NatsLogsOptions) {
    this.#options = options;
    this.bucket = new WatchedBucket(options.known, (change) => this.#take(change), options.onFailure);
  }

  known(): readonly DescribedGuest[] {
    return [...this.#known.values()].map(({ described }) => described);
  }

  logOf(id: string): CollectedLog | undefined {
    return this.#known.get(id)?.log;
  }

  logs(id: string): LogStorage {
    return new NatsLogStorage(id, this.#options);
  }

  /** Yields lines of the newest log of a guest. */
  async *read(
    id: string,
    { from = 1, follow = false, signal }: ReadOptions,
  ): AsyncGenerator<readonly Buffer[]> {
    const { js, names } = this.#options;
    const newest = await newestLog(this.#options, id);
    if (newest === undefined) return;
    const consumer = await js.consumers.get(names.stream, {
      filter_subjects: newest.subject,
      name_prefix: `read${randomBytes(8).toString('hex')}`,
      deliver_policy: DeliverPolicy.All,
    });
    const messages = await consumer.consume({ max_bytes: readAhead });
    const stop = (): void => messages.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) return;
      for await (const message of messages) {
        const lines = completeLines(Buffer.from(message.data)).filter(
          (line) => (sequenceOf(line) ?? 0) >= from,
        );
        if (lines.length > 0) yield lines;
        if (signal.aborted || (!follow && message.seq >= newest.seq)) return;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      messages.stop();
    }
  }

  #take({ key, value }: Change): void {
    const [, id] = /^g\.([0-9a-f]{64})$/.exec(key) ?? [];
    if (id === undefined || value === undefined) return;
    const known = parseKnownGuest(id, value);
    if (known === undefined) this.#options.malformed.add('what is known of a guest');
    else this.#known.set(id, known);
  }
}

class NatsLogStorage implements LogStorage {
  readonly #id: string;
  readonly #options: NatsLogsOptions;
  #described: DescribedGuest | undefined;

  constructor(id: string, options: NatsLogsOptions) {
    this.#id = hex(id);
    this.#options = options;
  }

  async open(): ReturnType<LogStorage['open']> {
    await this.#options.connected();
    const notes = (await this.#notes()).notes;
    let newest: NatsLog | undefined;
    let bytes = 0;
    for (const subject of await subjectsOf(this.#options, this.#id)) {
      const log = await NatsLog.open(subject, this.#options);
      bytes += log.size;
      if (newest === undefined || log.seq > newest.seq) newest = log;
    }
    if (newest?.last === undefined) newest = undefined;
    return { notes, otherBytes: bytes - (newest?.size ?? 0), newest };
  }

  async create(name: string): Promise<StoredLog> {
    await this.#options.connected();
    const subject = this.#options.names.log(this.#id, name);
    const all = await subjectsOf(this.#options, this.#id);
    if (!all.includes(subject) && all.length >= maxLogs)
      throw new StoreError(
        `guest ${this.#id} has sent ${all.length} logs, and no more are stored`,
        `keep them as evidence: no more of this guest are collected`,
      );
    return await NatsLog.open(subject, this.#options);
  }

  async note(note: LogNote): Promise<number> {
    await this.#options.connected();
    for (let attempt = 1; ; attempt += 1) {
      const { notes, revision } = await this.#notes();
      const added = { ...note, at: new Date().toISOString() };
      let text = JSON.stringify([...notes, added]);
      if (text.length > maxNoteBytes) {
        const { line: _line, ...short } = added as { line?: string };
        text = JSON.stringify([...notes, short]);
      }
      try {
        await this.#options.known.put(`n.${this.#id}`, text, { previousSeq: revision });
        return JSON.stringify(added).length;
      } catch (error) {
        if (!isConflict(error) || attempt === attempts) throw error;
      }
    }
  }

  async describe(described: DescribedGuest): Promise<void> {
    this.#described = described;
    await this.#options.connected();
    await this.#options.known.put(`g.${this.#id}`, JSON.stringify({ described }));
  }

  async described(): Promise<DescribedGuest | undefined> {
    const found = await this.#options.known.get(`g.${this.#id}`);
    const value = found?.operation === 'PUT' ? parseJson(found.string()) : undefined;
    return parseKnownGuest(this.#id, value)?.described;
  }

  async report(log: CollectedLog): Promise<void> {
    const described = this.#described;
    if (described === undefined) return;
    // It is repeated by the next holder, and while the guest is connected by its lease.
    await this.#options.known
      .put(`g.${this.#id}`, JSON.stringify({ described, log }), { timeout: 2_000 })
      .catch(() => undefined);
  }

  async #notes(): Promise<{ readonly notes: readonly LogNote[]; readonly revision: number }> {
    const found = await this.#options.known.get(`n.${this.#id}`);
    if (found === null) return { notes: [], revision: 0 };
    const notes = found.operation === 'PUT' ? notesOf(parseJson(found.string())) : [];
    if (notes === undefined)
      throw new StoreError(
        `the notes of guest ${this.#id} on the bus are not those of a realm`,
        'something else has written them: permissions of NATS must let nobody else publish there',
      );
    return { notes, revision: found.revision };
  }
}

/** A log: the messages of a subject. */
class NatsLog implements StoredLog {
  readonly path: string;
  readonly #options: NatsLogsOptions;
  #size = 0;
  #first: number | undefined;
  #last: LastRecord | undefined;
  /** In the stream; 0: none. */
  #seq = 0;

  private constructor(subject: string, options: NatsLogsOptions) {
    this.path = subject;
    this.#options = options;
  }

  static async open(subject: string, options: NatsLogsOptions): Promise<NatsLog> {
    const log = new NatsLog(subject, options);
    await log.refresh();
    return log;
  }

  get size(): number {
    return this.#size;
  }

  get first(): number | undefined {
    return this.#first;
  }

  get last(): LastRecord | undefined {
    return this.#last;
  }

  get seq(): number {
    return this.#seq;
  }

  async append(lines: readonly Buffer[], first: number, last: LastRecord): Promise<void> {
    const { js, whileConnected } = this.#options;
    const bytes = joinLines(lines);
    const size = this.#size + bytes.length;
    const begin = this.#first ?? first;
    const head = headers();
    head.set(firstHeader, String(begin));
    head.set(sizeHeader, String(size));
    // While it waits, nothing of the guest's connection is read, also not the answers to calls.
    const ack = await whileConnected(() =>
      js.publish(this.path, bytes, {
        headers: head,
        timeout: 5_000,
        expect: { lastSubjectSequence: this.#seq },
      }),
    );
    this.#seq = ack.seq;
    this.#size = size;
    this.#first = begin;
    this.#last = { position: last.position, line: Buffer.from(last.line) };
  }

  async refresh(): Promise<void> {
    await this.#options.connected();
    const message = await lastMessage(this.#options, this.path);
    if (message === null) return;
    const line = completeLines(Buffer.from(message.data)).at(-1);
    const read = line === undefined ? undefined : readRecord(line);
    const first = Number(message.header.get(firstHeader));
    const size = Number(message.header.get(sizeHeader));
    if (line === undefined || read?.ok !== true || !(first > 0) || !(size > 0))
      throw new StoreError(
        `message ${message.seq} of ${this.#options.names.stream} is not one of ours`,
        'something else has written to the stream: permissions of NATS must let nobody else publish there',
      );
    this.#seq = message.seq;
    this.#size = size;
    this.#first = first;
    this.#last = { position: positionOf(read.record), line };
  }

  async beside(name: BesideName): Promise<string | undefined> {
    await this.#options.connected();
    const found = await this.#options.known.get(this.#besideKey(name));
    return found?.operation === 'PUT' ? found.string() : undefined;
  }

  async putBeside(name: BesideName, text: string): Promise<void> {
    await this.#options.known.put(this.#besideKey(name), text);
  }

  #besideKey(name: BesideName): string {
    const [log = '', guest = ''] = this.path.split('.').reverse();
    return `${name === 'checkpoint' ? 'c' : 't'}.${hex(guest)}.${hex(log)}`;
  }

  /** The server has stored what it has acknowledged. */
  async sync(): Promise<void> {}

  async close(): Promise<void> {}
}

type Reader = Pick<NatsLogsOptions, 'jsm' | 'names'>;

async function newestLog(
  reader: Reader,
  id: string,
): Promise<{ readonly subject: string; readonly seq: number } | undefined> {
  let newest: { readonly subject: string; readonly seq: number } | undefined;
  for (const subject of await subjectsOf(reader, id)) {
    const seq = (await lastMessage(reader, subject))?.seq ?? 0;
    if (newest === undefined || seq > newest.seq) newest = { subject, seq };
  }
  return newest;
}

async function subjectsOf({ jsm, names }: Reader, id: string): Promise<readonly string[]> {
  const { state } = await jsm.streams.info(names.stream, { subjects_filter: names.logsOf(id) });
  return Object.keys(state.subjects ?? {});
}

/** Not by a direct get, which a server that lags behind could answer. */
async function lastMessage({ jsm, names }: Reader, subject: string): Promise<StoredMsg | null> {
  return await jsm.streams.getMessage(names.stream, { last_by_subj: subject });
}
