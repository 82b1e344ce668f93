import { Duplex } from 'node:stream';

/** Larger chunks are not joined. */
const chunkBytes = 64 * 1024;

const kinds = ['data', 'end', 'credit', 'alive', 'abort'] as const;

const headBytes = 9;

const longestWhy = 1_024;

/** Messages between the ends of pipes. They arrive in order, or not at all. */
export interface PipeTransport {
  /** Sends to an end. */
  send(pipe: string, end: PipeEnd, bytes: Uint8Array): void;
  /** Calls `onBytes` with what is sent to an end. Returns a function that ends it. */
  receive(pipe: string, end: PipeEnd, onBytes: (bytes: Uint8Array) => void): () => void;
}

/** `a`: of the replica that has the operator. `b`: of the one that has the guest's connection. */
export type PipeEnd = 'a' | 'b';

export interface PipeLimits {
  readonly chunkBytes: number;
  /** Bytes on their way in one direction, and in the memory of the other end. */
  readonly windowBytes: number;
  /** Between two frames, at most. */
  readonly aliveMs: number;
  /** Without a frame the other end is dead. */
  readonly deadMs: number;
}

const pipeLimits: PipeLimits = {
  chunkBytes: 64 * 1024,
  windowBytes: 256 * 1024,
  aliveMs: 3_000,
  deadMs: 10_000,
};

/** One end of a pipe of bytes between two replicas. A lost frame, or a lost end, destroys it with an error. */
export class Pipe extends Duplex {
  readonly id: string;
  /** Resolves when the other end is there. Never rejects: the stream is destroyed instead. */
  readonly opened: Promise<void>;
  readonly #transport: PipeTransport;
  readonly #end: PipeEnd;
  readonly #limits: PipeLimits;
  readonly #stop: () => void;
  readonly #timer: NodeJS.Timeout;
  #open: () => void = () => undefined;
  #isOpen = false;
  #sent = 0;
  #sentIndex = 0;
  #credit = 0;
  #received = 0;
  #receivedIndex = 0;
  #granted = 0;
  #granting = false;
  #heard: number = performance.now();
  #hasEnded = false;
  #otherEnded = false;
  /** Data that the reader has not asked for. */
  readonly #unread = new UnreadBytes();
  #isWanted = false;
  #isDelivered = false;
  #otherAborted = false;
  #waiting: { readonly rest: Buffer; readonly done: (error?: Error) => void } | undefined;

  constructor(transport: PipeTransport, id: string, end: PipeEnd, limits: PipeLimits = pipeLimits) {
    super({ allowHalfOpen: true, highWaterMark: limits.chunkBytes });
    this.id = id;
    this.#transport = transport;
    this.#end = end;
    this.#limits = limits;
    this.opened = new Promise((resolve) => {
      this.#open = resolve;
    });
    this.#stop = transport.receive(id, end, (bytes) => this.#take(bytes));
    this.#timer = setInterval(() => this.#tick(), limits.aliveMs).unref();
    this.on('error', () => undefined);
  }

  /** Tells the other end that this one is there. */
  hello(): void {
    this.#send({ kind: 'alive', index: this.#sentIndex });
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#flow(chunk, done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#hasEnded = true;
    this.#send({ kind: 'end', index: this.#sentIndex });
    this.#sentIndex += 1;
    done();
  }

  override _read(): void {
    this.#isWanted = true;
    this.#deliver();
    this.#grantSoon();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearInterval(this.#timer);
    this.#stop();
    const why = error?.message ?? 'the connection was closed';
    if (!this.#otherAborted && !(this.#hasEnded && this.#otherEnded)) this.#send({ kind: 'abort', why });
    this.#waiting?.done(error ?? new Error('the pipe is closed'));
    this.#waiting = undefined;
    done(error);
  }

  #flow(chunk: Buffer, done: (error?: Error) => void): void {
    let rest = chunk;
    while (rest.length > 0) {
      const room = this.#limits.windowBytes - (this.#sent - this.#credit);
      if (room <= 0) {
        this.#waiting = { rest, done };
        return;
      }
      const bytes = rest.subarray(0, Math.min(room, this.#limits.chunkBytes));
      rest = rest.subarray(bytes.length);
      this.#sent += bytes.length;
      this.#send({ kind: 'data', index: this.#sentIndex, bytes });
      this.#sentIndex += 1;
    }
    done();
  }

  #take(bytes: Uint8Array): void {
    if (this.destroyed) return;
    this.#heard = performance.now();
    const frame = decodeFrame(bytes);
    if (frame === undefined) return void this.destroy(new Error('a frame of the pipe cannot be read'));
    this.#isOpen = true;
    this.#open();
    if ('index' in frame && frame.index !== this.#receivedIndex)
      return void this.destroy(new Error('bytes of the pipe were lost'));
    switch (frame.kind) {
      case 'data':
        this.#receivedIndex += 1;
        this.#received += frame.bytes.length;
        if (this.#received - this.#granted > this.#limits.windowBytes)
          return void this.destroy(new Error('the other end of the pipe ignores its window'));
        if (this.#otherEnded || frame.bytes.length === 0)
          return void this.destroy(new Error('the other end of the pipe sends data that none sends'));
        this.#unread.add(frame.bytes);
        this.#deliver();
        this.#grantSoon();
        return;
      case 'end':
        if (this.#otherEnded)
          return void this.destroy(new Error('the other end of the pipe has ended twice'));
        this.#receivedIndex += 1;
        this.#otherEnded = true;
        this.#deliver();
        return;
      case 'credit': {
        this.#credit = Math.min(Math.max(this.#credit, frame.consumed), this.#sent);
        const waiting = this.#waiting;
        this.#waiting = undefined;
        if (waiting !== undefined) this.#flow(waiting.rest, waiting.done);
        return;
      }
      case 'alive':
        return;
      case 'abort':
        this.#otherAborted = true;
        this.destroy(new Error(`the other end of the pipe has ended: ${frame.why}`));
    }
  }

  #deliver(): void {
    while (this.#isWanted) {
      const bytes = this.#unread.take();
      if (bytes === undefined) break;
      this.#isWanted = this.push(bytes);
    }
    if (this.#otherEnded && this.#unread.size === 0 && !this.#isDelivered) {
      this.#isDelivered = true;
      this.push(null);
    }
  }

  #grantSoon(): void {
    if (this.#granting) return;
    this.#granting = true;
    setImmediate(() => {
      this.#granting = false;
      if (this.destroyed) return;
      const consumed = this.#received - this.#unread.size - this.readableLength;
      if (consumed - this.#granted < this.#limits.windowBytes / 4) return;
      this.#granted = consumed;
      this.#send({ kind: 'credit', consumed });
    });
  }

  #tick(): void {
    // Its creator waits for the end that has the operator.
    const waits = !this.#isOpen && this.#end === 'a';
    if (!waits && performance.now() - this.#heard > this.#limits.deadMs)
      this.destroy(new Error('nothing is heard from the other end of the pipe'));
    else this.#send({ kind: 'alive', index: this.#sentIndex });
  }

  #send(frame: PipeFrame): void {
    this.#transport.send(this.id, this.#end === 'a' ? 'b' : 'a', encodeFrame(frame));
  }
}

/** What one end of a pipe sends to the other. */
type PipeFrame =
  /** `index` counts data and end of one direction from 0. */
  | { readonly kind: 'data'; readonly index: number; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly index: number }
  /** `consumed`: all bytes of data that were taken since the start. */
  | { readonly kind: 'credit'; readonly consumed: number }
  /** `index` of the next data: so that a lost frame is noticed, though none follows. */
  | { readonly kind: 'alive'; readonly index: number }
  | { readonly kind: 'abort'; readonly why: string };

/** One byte of kind, eight of a number, then data or text. */
export function encodeFrame(frame: PipeFrame): Buffer {
  const rest =
    frame.kind === 'data'
      ? frame.bytes
      : Buffer.from(frame.kind === 'abort' ? frame.why.slice(0, longestWhy) : '');
  const bytes = Buffer.allocUnsafe(headBytes + rest.length);
  bytes[0] = kinds.indexOf(frame.kind);
  const number = 'index' in frame ? frame.index : frame.kind === 'credit' ? frame.consumed : 0;
  bytes.writeBigUInt64BE(BigInt(number), 1);
  rest.copy(bytes, headBytes);
  return bytes;
}

/** Returns undefined if the bytes are no frame. */
export function decodeFrame(data: Uint8Array): PipeFrame | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  if (bytes.length < headBytes) return undefined;
  const kind = kinds[bytes[0] ?? kinds.length];
  const number = Number(bytes.readBigUInt64BE(1));
  if (kind === undefined || !Number.isSafeInteger(number)) return undefined;
  switch (kind) {
    case 'data':
      return { kind, index: number, bytes: bytes.subarray(headBytes) };
    case 'end':
    case 'alive':
      return { kind, index: number };
    case 'credit':
      return { kind, consumed: number };
    case 'abort':
      return { kind, why: bytes.toString('utf8', headBytes, headBytes + longestWhy) };
  }
}

/**
 * Bytes that have arrived and were not read. A sender that sends single bytes makes no more chunks than the logarithm of their
 * number: else each would take fifty times its size.
 */
export class UnreadBytes {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get chunks(): number {
    return this.#chunks.length;
  }

  /** Copies: the bytes can be a part of something large, which they would keep in memory. */
  add(bytes: Uint8Array): void {
    this.#size += bytes.length;
    const joined: Uint8Array[] = [bytes];
    let length = bytes.length;
    for (let before = this.#chunks.at(-1); before !== undefined; before = this.#chunks.at(-1)) {
      if (before.length > length || before.length + length > chunkBytes) break;
      this.#chunks.pop();
      joined.unshift(before);
      length += before.length;
    }
    const chunk = Buffer.allocUnsafe(length);
    let at = 0;
    for (const part of joined) {
      chunk.set(part, at);
      at += part.length;
    }
    this.#chunks.push(chunk);
  }

  /** Returns the first chunk; undefined if there is none. */
  take(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    this.#size -= chunk?.length ?? 0;
    return chunk;
  }
}
