import type { Writable } from 'node:stream';
import { GuestError } from '../guest-error.js';

/** Bytes that may wait for a process that does not read; a client that sends more without waiting is told so. */
const MOST_WAITING = 8 * 1024 * 1024;

/** A process's stdin. Writes are taken in order; each resolves when the pipe or terminal has all its bytes. */
export class InputStream {
  readonly #sink: Writable;
  readonly #waiting: Set<(error: GuestError) => void> = new Set();
  #closed = false;
  #failure: Error | undefined;

  /** Ending the sink must mean the end of file to the process: a pipe is closed, a terminal is sent Control-D. */
  constructor(sink: Writable) {
    this.#sink = sink;
    sink.on('error', (error) => {
      this.#failure ??= error;
    });
    // A write that the kernel has not taken by now never will be.
    sink.on('close', () => {
      for (const reject of this.#waiting) reject(this.#gone());
    });
  }

  /** Resolves with the number of bytes. Rejects when stdin is closed, or the process no longer reads it. */
  write(data: Uint8Array): Promise<number> {
    if (this.#closed) return Promise.reject(new GuestError('precondition', 'stdin is closed'));
    if (this.#failure !== undefined || this.#sink.destroyed) return Promise.reject(this.#gone());
    if (this.#sink.writableLength + data.length > MOST_WAITING) {
      return Promise.reject(
        new GuestError(
          'exhausted',
          `stdin: ${this.#sink.writableLength} bytes wait for the process to read them`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      this.#sink.write(data, (error) => {
        this.#waiting.delete(reject);
        if (error) reject(this.#gone(error));
        else resolve(data.length);
      });
    });
  }

  /** The process reads the end of file after what was written before. Closing twice is fine. */
  close(): void {
    if (this.#closed || this.#sink.destroyed) return;
    this.#closed = true;
    this.#sink.end();
  }

  /** The process is gone: writes that wait fail. */
  end(): void {
    this.#closed = true;
    this.#sink.destroy();
  }

  #gone(cause: unknown = this.#failure): GuestError {
    return new GuestError('precondition', 'stdin: the process does not read it any more', { cause });
  }
}
