import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { Backoff, Semaphore } from '@kata-agent/base';
import type { Forwarder, SentLine, SentLog } from './forwarded-logs.js';
import { type LogIdentity, recordFields, severityOf } from './record-fields.js';
import type { SinkOptions } from './open-sink.js';
import type { SinkTls } from './sink-address.js';

/** Facility 13: log audit. */
const facility = 13;

/** The number of RFC 5612 for those that have none: this project has no private enterprise number. */
const structuredDataId = 'kataAudit@32473';

export interface SyslogOptions extends SinkOptions {
  readonly address: SyslogAddress;
  readonly tls: SinkTls;
  /** For the handshake, and for bytes that the receiver does not take. */
  readonly timeoutMs: number;
  /** How many of the last records of a log are sent again after a new connection. */
  readonly repeat: number;
  readonly limitUnacknowledged: (socket: object, limitMs: number) => void;
}

const repeatedBytes = 4 * 1024 * 1024;
/** Bytes of one write. */
const chunkBytes = 64 * 1024;
const firstRetryMs = 500;
const lastRetryMs = 30_000;
/** As long as a connection must last for the next attempt to follow soon. */
const steadyMs = 60_000;

/**
 * Sends records by syslog over TLS (RFC 5425), in one connection for all logs. The protocol has no acknowledgement: what the
 * kernel has taken counts as sent, and with each new connection the last records of each log are sent again. So records are
 * repeated, and lost only if more of them were on the way than are repeated.
 */
export class SyslogForwarder implements Forwarder {
  readonly keep: Forwarder['keep'];
  readonly #options: SyslogOptions;
  readonly #backoff = new Backoff({ firstMs: firstRetryMs, lastMs: lastRetryMs });
  readonly #attached = new Set<SentLog>();
  /** Logs whose last records were sent again in this connection, by agent and origin. */
  #repeated = new Set<string>();
  #connection: SyslogConnection | undefined;
  #connecting: Promise<SyslogConnection> | undefined;
  /** Writes follow one another. */
  readonly #writes = new Semaphore(1);
  #isClosed = false;

  constructor(options: SyslogOptions) {
    this.#options = options;
    this.keep = { lines: options.repeat, bytes: repeatedBytes };
  }

  async ready(): Promise<void> {
    await this.#connect();
  }

  attach(log: SentLog): () => void {
    this.#attached.add(log);
    void this.#repeatAfterStart(log).catch(() => undefined);
    return () => this.#attached.delete(log);
  }

  async send(log: SentLog, lines: readonly SentLine[]): Promise<void> {
    const connection = await this.#connect();
    await this.#write(connection, async () => {
      await this.#repeat(connection, log);
      await writeLines(connection, log, lines);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const late = new Promise((resolve) => setTimeout(resolve, 1_000).unref());
    await Promise.race([this.#writes.run(async () => undefined), late]);
    await this.#connection?.end();
  }

  /** Returns the connection. Rejects if there is none, and none can be made. */
  async #connect(): Promise<SyslogConnection> {
    const connection = this.#connection;
    if (connection?.isOpen === true) return connection;
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    return await this.#connecting;
  }

  async #open(): Promise<SyslogConnection> {
    const { address, tls, timeoutMs, signal, limitUnacknowledged } = this.#options;
    await this.#backoff.wait(signal);
    let connection: SyslogConnection;
    try {
      connection = await SyslogConnection.open(address, tls, { timeoutMs, signal, limitUnacknowledged });
    } catch (error) {
      throw this.#failed(error as Error);
    }
    this.#connection = connection;
    this.#repeated = new Set();
    const begin = performance.now();
    void connection.ended.then((why) => this.#ended(why, performance.now() - begin));
    for (const log of this.#attached) await this.#write(connection, () => this.#repeat(connection, log));
    return connection;
  }

  /** Connects again also while there is nothing to send: what was on the way may be lost. */
  #ended(why: string, lastedMs: number): void {
    if (this.#isClosed || this.#options.signal.aborted) return;
    if (lastedMs > steadyMs) this.#backoff.succeeded();
    const { message } = this.#failed(new Error(why));
    this.#options.onEvent({ kind: 'not-stored', why: message });
    const again = async (): Promise<void> => {
      while (!this.#options.signal.aborted && !this.#isClosed && this.#connection?.isOpen !== true)
        await this.#connect().catch((error: Error) => {
          if (!this.#options.signal.aborted)
            this.#options.onEvent({ kind: 'not-stored', why: error.message });
        });
    };
    void again();
  }

  #failed({ message }: Error): Error {
    const { host, port } = this.#options.address;
    return new Error(`${host} port ${port}: ${message}; again in ${this.#backoff.failed()} ms`);
  }

  /** If that fails, they are sent again with the next connection. */
  async #repeatAfterStart(log: SentLog): Promise<void> {
    if (log.sent.length === 0) return;
    const connection = await this.#connect();
    await this.#write(connection, async () => {
      if (this.#attached.has(log)) await this.#repeat(connection, log);
    });
  }

  /** Sends the last records of a log again, once in a connection. */
  async #repeat(connection: SyslogConnection, log: SentLog): Promise<void> {
    const { agent, origin } = log.identity;
    const key = JSON.stringify([agent, origin]);
    if (this.#repeated.has(key)) return;
    this.#repeated.add(key);
    const { sent } = log;
    if (sent.length === 0) return;
    await writeLines(connection, log, sent);
    this.#options.onEvent({ kind: 'repeated', agent, count: sent.length });
  }

  async #write(connection: SyslogConnection, work: () => Promise<void>): Promise<void> {
    await this.#writes.run(async () => {
      if (!connection.isOpen) throw new Error('the connection was closed');
      await work();
    });
  }
}

async function writeLines(
  connection: SyslogConnection,
  { identity }: SentLog,
  lines: readonly SentLine[],
): Promise<void> {
  let chunk: Buffer[] = [];
  let size = 0;
  for (const line of lines) {
    const message = syslogMessage(line, identity);
    chunk.push(message);
    size += message.length;
    if (size < chunkBytes) continue;
    await connection.write(Buffer.concat(chunk));
    [chunk, size] = [[], 0];
  }
  if (chunk.length > 0) await connection.write(Buffer.concat(chunk));
}

/**
 * Returns an audit record as a message of RFC 5424, with its length before it (RFC 6587, octet counting, as RFC 5425 requires).
 * The line is the MSG, unchanged: it is ASCII.
 */
export function syslogMessage({ line, record }: SentLine, log: LogIdentity): Buffer {
  const priority = facility * 8 + severityOf(record).syslog;
  const parameters = recordFields.flatMap(({ syslog, of }) => {
    const value = syslog === undefined ? undefined : of({ log, record });
    return syslog === undefined || value === undefined ? [] : [` ${syslog}="${escaped(String(value))}"`];
  });
  const head = [
    `<${priority}>1`,
    timestamp(record.wall),
    printable(log.agent, 255),
    'kata-agent',
    '-',
    printable(record.kind, 32),
    `[${structuredDataId}${parameters.join('')}]`,
  ].join(' ');
  const message = Buffer.concat([Buffer.from(`${head} `), line]);
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/** RFC 3339, with at most 6 digits of a second. A guest can write anything. */
function timestamp(wall: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(wall) ? wall : '-';
}

/** A text for the header: printable ASCII without spaces. */
function printable(text: string, max: number): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, max) || '-';
}

/**
 * A value of structured data: UTF-8 (a lone surrogate becomes U+FFFD), with `"`, `\` and `]` escaped as RFC 5424 requires. Control characters, which it allows, are
 * written as in JSON: receivers cut or replace them, each in its own way.
 */
function escaped(text: string): string {
  return text
    .replace(/["\\\]]/g, (character) => `\\${character}`)
    .replace(
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
      (character) => `\\\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
}

interface SyslogAddress {
  readonly host: string;
  readonly port: number;
}

/** Bytes that are written are the kernel's when `write` resolves. Whether the receiver has read them is not known. */
class SyslogConnection {
  readonly #socket: TLSSocket;
  readonly #timeoutMs: number;
  /** Resolves with the reason when it has ended. */
  readonly ended: Promise<string>;
  #why: string | undefined;

  private constructor(socket: TLSSocket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.resume();
    this.ended = new Promise((resolve) => {
      const end = (why: string): void => {
        this.#why ??= why;
        socket.destroy();
        resolve(this.#why);
      };
      // A receiver says nothing in this protocol; its end is the end of both directions.
      socket.on('end', () => end('the receiver has closed the connection'));
      socket.on('error', (error) => end(error.message));
      socket.on('close', () => end('the connection was closed'));
    });
  }

  /** Connects, and verifies the receiver's certificate and name. */
  static async open(
    { host, port }: SyslogAddress,
    tls: SinkTls,
    options: {
      readonly timeoutMs: number;
      readonly signal: AbortSignal;
      /** Ends the connection when sent bytes are not acknowledged for a time. */
      readonly limitUnacknowledged: (socket: object, limitMs: number) => void;
    },
  ): Promise<SyslogConnection> {
    const { timeoutMs, signal, limitUnacknowledged } = options;
    // Without a session of before, so that the name is compared each time.
    const socket = connect({ host, port, ...tls, ALPNProtocols: [] });
    const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      await once(socket, 'secureConnect', { signal: limited });
    } catch (error) {
      socket.on('error', () => undefined);
      socket.destroy();
      throw limited.aborted && !signal.aborted ? new Error(`no TLS within ${timeoutMs} ms`) : error;
    }
    socket.setKeepAlive(true, 15_000);
    limitUnacknowledged(socket, timeoutMs);
    return new SyslogConnection(socket, timeoutMs);
  }

  get isOpen(): boolean {
    return this.#why === undefined;
  }

  /** Writes bytes. Rejects if the connection ends first, or the receiver takes none of them for a time. */
  async write(bytes: Buffer): Promise<void> {
    const timer = setTimeout(() => this.close('the receiver does not read'), this.#timeoutMs);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      this.close((error as Error).message);
      throw new Error(this.#why, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends what is written, and closes. */
  async end(): Promise<void> {
    this.#why ??= 'closed here';
    this.#socket.end();
    await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
    this.#socket.destroy();
  }

  close(why: string): void {
    this.#why ??= why;
    this.#socket.destroy();
  }
}
