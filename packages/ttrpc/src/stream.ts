import { Code } from './code.js';
import { TtrpcError } from './ttrpc-error.js';

/** Memory of a queued message beyond its bytes; so that empty messages are not free. */
const messageOverhead = 128;

const done = { done: true, value: undefined } as const;

/** What a queue needs from its connection. */
export interface QueueOwner {
  /** The queue holds more than its limit: do not read on. */
  full(): void;
  /** The queue holds less than half of its limit again. */
  roomy(): void;
}

/**
 * The messages that a streaming call has received, decoded as they are taken. One reader; `next` may be called before
 * the last one has resolved.
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

  /** No more messages. What was received can still be taken; then the error, if there is one, or the end. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve, reject } of waiting) this.#handEnd(resolve, reject);
  }

  /** Drops what was received, and ends. With an error, a reader never takes the loss for the end. */
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

  /** An error is told once; after it comes the end, as for a generator that has thrown. */
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

/** The error of a stream whose connection has gone. */
export function connectionClosed(cause: Error | undefined): TtrpcError {
  const reason =
    cause === undefined ? 'the connection was closed' : `the connection was closed: ${cause.message}`;
  return new TtrpcError(Code.Unavailable, reason, cause === undefined ? {} : { cause });
}
