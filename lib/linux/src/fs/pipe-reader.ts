import { Readable } from 'node:stream';
import { type PollHandle, pollDescriptor } from '../syscalls/koffi.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Descriptor } from './descriptor.js';
import { pipeCalls } from './pipe-calls.js';

/** As much as a pipe holds by default. */
const readSize = 65_536;

/** Buffers that no read uses. */
const buffers: Buffer[] = [];

/** As many as are kept. */
const spare = 4;

interface Waiter {
  /** Number of read bytes at which it need not wait any more. */
  readonly enough: number;
  readonly resolve: () => void;
}

/**
 * A stream that reads the end of a pipe and owns it. It ends when the last writer has closed, and applies backpressure to
 * writers: it reads only while it flows. Its calls can wait for the pipe's lock, the event loop does not (`pipeCalls`).
 */
export class PipeReader extends Readable {
  readonly #owner: string;
  readonly #fd: number;
  readonly #poll: PollHandle;
  /** Whether the stream wants bytes, and none are being read. */
  #wanted = false;
  #reading = false;
  /** By `pause`: `isPaused` is also true of a stream that is read without events. */
  #paused = false;
  /** Whether the last read took as much as it could: there is more. */
  #more = false;
  /** Number of bytes that have been read. */
  #bytes = 0;
  #waiters: Waiter[] = [];
  #whenReturned: (() => void) | undefined;

  /** @param owner of the other end: `pipeCalls` limits its calls. */
  constructor(end: Descriptor, owner: string) {
    // Nothing is read ahead: that is up to the user of the stream, and to the pipe.
    super({ highWaterMark: 0 });
    this.#owner = owner;
    this.#poll = pollDescriptor(end.fd);
    this.#fd = end.take();
  }

  /** Resolves when a read has found the pipe empty, when `most` more bytes have come, or at its end. */
  untilEmpty(most: number): Promise<void> {
    if (this.destroyed || this.readableEnded) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ enough: this.#bytes + most, resolve });
      this.#poll.stop();
      this.#read();
    });
  }

  override pause(): this {
    this.#paused = true;
    this.#poll.stop();
    return super.pause();
  }

  override resume(): this {
    this.#paused = false;
    super.resume();
    if (this.#wanted) this.#wait();
    return this;
  }

  override _read(): void {
    this.#wanted = true;
    if (this.#more) this.#read();
    else this.#wait();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#poll.close();
    const close = (): void => pipeCalls.close(this.#owner, this.#fd, () => callback(error));
    // The number must not become that of another file before the read has returned.
    if (this.#reading) this.#whenReturned = close;
    else close();
    this.#wake(Number.POSITIVE_INFINITY);
  }

  #wait(): void {
    if (this.#reading || this.destroyed) return;
    this.#poll.start('readable', () => {
      this.#poll.stop();
      this.#read();
    });
  }

  #read(): void {
    if (this.#reading || this.destroyed) return;
    this.#reading = true;
    const buffer = buffers.pop() ?? Buffer.allocUnsafeSlow(readSize);
    pipeCalls.read(this.#owner, this.#fd, buffer, (error, length) => {
      this.#reading = false;
      const bytes = error === null && length > 0 ? Buffer.from(buffer.subarray(0, length)) : undefined;
      if (buffers.length < spare) buffers.push(buffer);
      if (this.#whenReturned !== undefined) this.#whenReturned();
      else if (bytes !== undefined) this.#arrived(bytes);
      else if (error === null) this.#ended();
      else if (hasCode(error, 'EAGAIN')) this.#empty();
      else this.destroy(error);
    });
  }

  #arrived(bytes: Buffer): void {
    this.#bytes += bytes.length;
    this.#more = bytes.length === readSize;
    this.#wanted = false;
    this.push(bytes);
    this.#wake(this.#bytes);
    if (this.#waiters.length > 0) this.#read();
  }

  #ended(): void {
    this.push(null);
    this.#wake(Number.POSITIVE_INFINITY);
  }

  #empty(): void {
    this.#more = false;
    this.#wake(Number.POSITIVE_INFINITY);
    if (this.#wanted && !this.#paused) this.#wait();
  }

  #wake(reached: number): void {
    for (const { resolve } of this.#waiters.filter(({ enough }) => enough <= reached)) resolve();
    this.#waiters = this.#waiters.filter(({ enough }) => enough > reached);
  }
}
