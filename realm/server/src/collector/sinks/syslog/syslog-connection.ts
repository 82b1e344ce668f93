import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import type { SinkTls } from '../sink-tls.js';

export interface SyslogAddress {
  readonly host: string;
  readonly port: number;
}

/** Bytes that are written are the kernel's when `write` resolves. Whether the receiver has read them is not known. */
export class SyslogConnection {
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
