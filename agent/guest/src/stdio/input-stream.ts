import type { Writable } from 'node:stream';
import { GuestError } from '../guest-error.js';

/** A write that is in the kernel when the process ends usually returns at once: it is still reported, with the bytes that were read. */
const lastWriteMilliseconds = 1_000;

/** Maximum number of buffered bytes for a process that does not read; writes beyond it fail. */
const MAX_WAITING = 8 * 1024 * 1024;

/** A process's stdin. Writes are queued in order; each resolves when the pipe or terminal has taken all its bytes. */
export class InputStream {
  readonly #sink: Writable;
  readonly #waiting: Set<(error: GuestError) => void> = new Set();
  #closed = false;
  #failure: Error | undefined;

  /** Ending the sink must give the process an end of file: a pipe is closed, a terminal gets Control-D. */
  constructor(sink: Writable) {
    this.#sink = sink;
    sink.on('error', (error) => {
      this.#failure ??= error;
    });
    sink.on('close', () => this.#rejectWaiting());
  }

  /** Returns the number of bytes. Rejects if stdin is closed, or no process reads it any more. */
  write(data: Uint8Array): Promise<number> {
    if (this.#closed) return Promise.reject(new GuestError('precondition', 'stdin is closed'));
    if (this.#failure !== undefined || this.#sink.destroyed) return Promise.reject(this.#gone());
    if (this.#sink.writableLength + data.length > MAX_WAITING) {
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

  /** Sends an end of file after earlier writes. May be called repeatedly. */
  close(): void {
    if (this.#closed || this.#sink.destroyed) return;
    this.#closed = true;
    this.#sink.end();
  }

  /** Called when the process has ended: pending writes fail. */
  end(): void {
    this.#closed = true;
    this.#sink.destroy();
    // The sink closes when the kernel has returned: who holds the pipe's lock can delay that.
    if (this.#waiting.size > 0) setTimeout(() => this.#rejectWaiting(), lastWriteMilliseconds).unref();
  }

  /** Nobody learns more of these writes. */
  #rejectWaiting(): void {
    for (const reject of this.#waiting) reject(this.#gone());
    this.#waiting.clear();
  }

  #gone(cause: unknown = this.#failure): GuestError {
    return new GuestError('precondition', 'stdin: the process does not read it any more', { cause });
  }
}
