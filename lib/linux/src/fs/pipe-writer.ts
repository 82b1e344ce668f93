import { Writable } from 'node:stream';
import { type PollHandle, pollDescriptor } from '../syscalls/koffi.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Descriptor } from './descriptor.js';
import { pipeCalls } from './pipe-calls.js';

/**
 * A stream that writes to the end of a pipe and owns it. `end()` is end of file for the reader. If the reader has closed, the
 * next write fails with EPIPE. Its calls can wait for the pipe's lock, the event loop does not (`pipeCalls`).
 */
export class PipeWriter extends Writable {
  readonly #owner: string;
  readonly #fd: number;
  readonly #poll: PollHandle;
  #writing = false;
  #whenReturned: (() => void) | undefined;

  /** @param owner of the other end: `pipeCalls` limits its calls. */
  constructor(end: Descriptor, owner: string) {
    super({ decodeStrings: true });
    this.#owner = owner;
    this.#poll = pollDescriptor(end.fd);
    this.#fd = end.take();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#put(chunk, callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#poll.close();
    const close = (): void => pipeCalls.close(this.#owner, this.#fd, () => callback(error));
    // The number must not become that of another file before the write has returned.
    if (this.#writing) this.#whenReturned = close;
    else close();
  }

  #put(chunk: Buffer, callback: (error?: Error | null) => void): void {
    if (this.destroyed) return;
    this.#writing = true;
    pipeCalls.write(this.#owner, this.#fd, chunk, (error, length) => {
      this.#writing = false;
      if (this.#whenReturned !== undefined) {
        // The pipe has the bytes: the writer learns it, though the stream is destroyed.
        if (error === null && length === chunk.length) callback();
        this.#whenReturned();
      } else if (error === null) this.#written(chunk.subarray(length), callback);
      else if (hasCode(error, 'EAGAIN')) this.#full(chunk, callback);
      else callback(error);
    });
  }

  #written(rest: Buffer, callback: (error?: Error | null) => void): void {
    if (rest.length === 0) callback();
    else this.#put(rest, callback);
  }

  #full(chunk: Buffer, callback: (error?: Error | null) => void): void {
    this.#poll.start('writable', () => {
      this.#poll.stop();
      this.#put(chunk, callback);
    });
  }
}
