import { Backoff, Semaphore } from '@kata-agent/base';
import type { Forwarder, SentLine, SentLog } from '../forwarder.js';
import type { SinkOptions } from '../sink.js';
import type { SinkTls } from '../sink-tls.js';
import { type SyslogAddress, SyslogConnection } from './syslog-connection.js';
import { syslogMessage } from './syslog-message.js';

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
