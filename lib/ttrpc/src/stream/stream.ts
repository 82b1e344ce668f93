import { Code, TtrpcError } from '../status.js';

/** Memory per queued message beyond its payload, in bytes, so that empty messages count. */
const messageOverhead = 128;

const done = { done: true, value: undefined } as const;

/** Callbacks of a queue to its connection. */
export interface QueueOwner {
  /** The queue exceeds its limit: stop reading. */
  full(): void;
  /** The queue is below half of its limit again. */
  roomy(): void;
}

/**
 * The received messages of a streaming call, decoded when they are read. There is one reader; it may call `next` before
 * an earlier promise has resolved.
 */
export class MessageQueue<T> implements AsyncIterableIterator<T, undefined> {
  readonly #decode: (payload: Uint8Array) => T;
  readonly #limit: number;
  readonly #owner: QueueOwner;
  #payloads: Uint8Array[] = [];
  #first = 0;
  #bytes = 0;
  #full = false;
  #ended = false;
  #error: Error | undefined;
  #waiting: { resolve: (result: IteratorResult<T, undefined>) => void; reject: (error: unknown) => void }[] =
    [];

  constructor(decode: (payload: Uint8Array) => T, limit: number, owner: QueueOwner) {
    this.#decode = decode;
    this.#limit = limit;
    this.#owner = owner;
  }

  push(payload: Uint8Array): void {
    if (this.#ended) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      this.#hand(payload, waiting.resolve, waiting.reject);
      return;
    }
    this.#payloads.push(payload);
    this.#bytes += payload.length + messageOverhead;
    if (!this.#full && this.#bytes > this.#limit) {
      this.#full = true;
      this.#owner.full();
    }
  }

  /** Ends the queue. Received messages can still be read; then the error follows, if there is one, or the end. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve, reject } of waiting) this.#handEnd(resolve, reject);
  }

  /**
   * Drops received messages and ends the queue. Pass an error to keep the reader from taking the loss for a clean end.
   */
  discard(error?: Error): void {
    this.#payloads = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#relax();
    if (this.#ended) this.#error = error;
    else this.end(error);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      const payload = this.#payloads[this.#first];
      if (payload !== undefined) {
        this.#first++;
        if (this.#first === this.#payloads.length) {
          this.#payloads = [];
          this.#first = 0;
        } else if (this.#first === 1024) {
          this.#payloads.splice(0, 1024);
          this.#first = 0;
        }
        this.#bytes -= payload.length + messageOverhead;
        this.#hand(payload, resolve, reject);
        this.#relax();
      } else if (this.#ended) this.#handEnd(resolve, reject);
      else this.#waiting.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.discard();
    return Promise.resolve(done);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #hand(
    payload: Uint8Array,
    resolve: (result: IteratorResult<T, undefined>) => void,
    reject: (error: unknown) => void,
  ): void {
    try {
      resolve({ done: false, value: this.#decode(payload) });
    } catch (error) {
      reject(error);
    }
  }

  /** Reports an error once; afterwards the iterator is done, like a generator that has thrown. */
  #handEnd(resolve: (result: IteratorResult<T, undefined>) => void, reject: (error: unknown) => void): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) resolve(done);
    else reject(error);
  }

  #relax(): void {
    if (!this.#full || this.#bytes > this.#limit / 2) return;
    this.#full = false;
    this.#owner.roomy();
  }
}

/** Returns the error of a stream whose connection was lost. */
export function connectionClosed(cause: Error | undefined): TtrpcError {
  const reason =
    cause === undefined ? 'the connection was closed' : `the connection was closed: ${cause.message}`;
  return new TtrpcError(Code.Unavailable, reason, cause === undefined ? {} : { cause });
}
