import type { Writable } from 'node:stream';
import { GuestError } from '../guest-error.js';

/** Bytes that may wait for a process that does not read; a client that sends more without waiting is told so. */
const MOST_WAITING = 8 * 1024 * 1024;

/** How a stream says "no more": a pipe is closed, a terminal is sent its end-of-file character. */
export type CloseInput = (sink: Writable) => void;

/** A process's stdin. Writes are taken in order; each resolves when the pipe or terminal has all its bytes. */
export class InputStream {
  readonly #sink: Writable;
  readonly #close: CloseInput;
  #closed = false;
  #failure: Error | undefined;

  constructor(sink: Writable, close: CloseInput) {
    this.#sink = sink;
    this.#close = close;
    sink.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  /** Resolves with the number of bytes. Rejects when stdin is closed, or the process no longer reads it. */
  write(data: Uint8Array): Promise<number> {
    if (this.#closed) return Promise.reject(new GuestError('precondition', 'stdin is closed'));
    if (this.#failure !== undefined || this.#sink.destroyed) return Promise.reject(this.#gone(this.#failure));
    if (this.#sink.writableLength + data.length > MOST_WAITING) {
      return Promise.reject(
        new GuestError(
          'exhausted',
          `stdin: ${this.#sink.writableLength} bytes wait for the process to read them`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.#sink.write(data, (error) => {
        if (error) reject(this.#gone(error));
        else resolve(data.length);
      });
    });
  }

  /** The process reads the end of file after what was written before. Closing twice is fine. */
  close(): void {
    if (this.#closed || this.#sink.destroyed) return;
    this.#closed = true;
    this.#close(this.#sink);
  }

  /** The process is gone: writes that wait fail. */
  end(): void {
    this.#closed = true;
    this.#sink.destroy();
  }

  #gone(cause: unknown): GuestError {
    return new GuestError('precondition', 'stdin: the process does not read it any more', { cause });
  }
}

export const closePipe: CloseInput = (sink) => {
  sink.end();
};

/** VEOF, control-D, as terminals have it by default; a terminal in raw mode passes it on as a byte. */
export const closeTerminal: CloseInput = (sink) => {
  sink.write(Uint8Array.of(4));
};
