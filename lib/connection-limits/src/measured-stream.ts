import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

interface MeasuredStreamOptions {
  readonly turns: Turns;
  /** The maximum of bytes until `release`. */
  readonly budget: number;
  /** Is called, once, when more bytes than the budget arrive. They are not read. */
  readonly onOversized: () => void;
}

const headerBytes = 5;

/**
 * The bytes of a connection for TLS. Until its client is authenticated, TLS gets its records in turns of the event loop, and no
 * more than a budget: OpenSSL verifies each chain of up to 100 KB in one go, also of unauthenticated clients, and that can take half a second.
 * It measures what the records cost.
 */
export class MeasuredStream extends Duplex {
  /** The connection. */
  readonly socket: Socket;
  readonly #options: MeasuredStreamOptions;
  /** Received, and not yet passed on. */
  #received: Buffer = Buffer.alloc(0);
  #left: number;
  #state: 'reading' | 'waiting' | 'passing' = 'reading';
  #released = false;
  #ended = false;
  #milliseconds = 0;
  /** When the records that are being passed on began. */
  #begun = 0;

  /** `socket`: nothing of it has been read. */
  constructor(socket: Socket, options: MeasuredStreamOptions) {
    super({ allowHalfOpen: socket.allowHalfOpen });
    this.socket = socket;
    this.#options = options;
    this.#left = options.budget;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.once('end', () => {
      this.#ended = true;
      if (this.#state === 'reading') this.push(null);
    });
    socket.once('close', () => this.destroy());
    socket.pause();
  }

  /** The time of a processor that records have cost before `release`: the event loop has done nothing else. */
  get milliseconds(): number {
    return this.#milliseconds + (this.#state === 'passing' ? cpuMilliseconds() - this.#begun : 0);
  }

  /** Passes on all that follows as it arrives: the client is authenticated. */
  release(): void {
    this.#released = true;
    // A client may end its requests and still get the replies.
    this.allowHalfOpen = true;
    this.socket.allowHalfOpen = true;
    this.#options.turns.remove(this.#step);
    if (this.#state !== 'passing') this.#passRest();
  }

  override _read(): void {
    if (this.#state === 'reading') this.socket.resume();
  }

  // Errors of the socket are followed by its close, which closes this stream.
  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.socket.write(bytes, () => done());
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    this.socket.cork();
    for (const [index, { chunk }] of chunks.entries())
      this.socket.write(chunk, index === chunks.length - 1 ? () => done() : undefined);
    this.socket.uncork();
  }

  override _final(done: () => void): void {
    this.socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#options.turns.remove(this.#step);
    this.socket.destroy();
    done(error);
  }

  #receive(bytes: Buffer): void {
    if (this.#released) {
      if (!this.push(bytes)) this.socket.pause();
      return;
    }
    this.socket.pause();
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    this.#proceed();
  }

  /** Passes on records in a later turn, or reads on until there is one. */
  #proceed(): void {
    const size = recordSize(this.#received);
    if (size > this.#left) this.#options.onOversized();
    else if (size > 0 && this.#received.length >= size) {
      this.#state = 'waiting';
      this.#options.turns.add(this.#step);
    } else if (this.#ended) this.push(null);
    else this.socket.resume();
  }

  readonly #step = (): void => {
    if (this.destroyed) return;
    // Those of a flight together: OpenSSL takes an error of the first for one of the next.
    const size = wholeRecords(this.#received, this.#left);
    const records = this.#received.subarray(0, size);
    this.#received = this.#received.subarray(size);
    this.#left -= size;
    this.#state = 'passing';
    this.#begun = cpuMilliseconds();
    this.push(records);
    this.#milliseconds += cpuMilliseconds() - this.#begun;
    this.#state = 'reading';
    // In this turn the client may have been authenticated, or refused.
    if (this.destroyed) return;
    if (this.#released) this.#passRest();
    else this.#proceed();
  };

  #passRest(): void {
    const rest = this.#received;
    this.#received = Buffer.alloc(0);
    const isWanted = rest.length === 0 || this.push(rest);
    if (this.#ended) this.push(null);
    else if (isWanted) this.socket.resume();
  }
}

/** The types of TLS 1.3 and older: change_cipher_spec, alert, handshake, application_data. */
const types: ReadonlySet<number | undefined> = new Set([20, 21, 22, 23]);

/** Returns the size of the first record; of other bytes all, and 0 if it is not known yet. */
function recordSize(bytes: Buffer): number {
  if (bytes.length > 0 && !types.has(bytes[0])) return bytes.length;
  return bytes.length < headerBytes ? 0 : headerBytes + bytes.readUInt16BE(3);
}

/** Returns the size of all records that are complete, at most `most`. */
function wholeRecords(bytes: Buffer, max: number): number {
  let end = 0;
  for (;;) {
    const size = recordSize(bytes.subarray(end));
    if (size === 0 || end + size > Math.min(max, bytes.length)) return end;
    end += size;
  }
}

/** The time of this process on processors: others can keep it waiting, which is no fault of the client. */
function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Runs work one piece a turn of the event loop, so that other connections are served in between. */
export class Turns {
  readonly #waiting = new Set<() => void>();

  /** Adds work, once. It runs in a later turn. */
  add(work: () => void): void {
    this.#waiting.add(work);
    if (this.#waiting.size === 1) setImmediate(this.#next);
  }

  /** Removes work that has not run. */
  remove(work: () => void): void {
    this.#waiting.delete(work);
  }

  readonly #next = (): void => {
    const [first] = this.#waiting;
    if (first === undefined) return;
    this.#waiting.delete(first);
    // Scheduled first: work may throw.
    if (this.#waiting.size > 0) setImmediate(this.#next);
    first();
  };
}
