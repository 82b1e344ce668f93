import type { CallSignal } from '../call-signal.js';
import { appendFileSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { PipeReader } from '@kata-agent/linux';

/** What to do when the buffer is full: leave output in the pipe, or drain it so that the writer can continue. */
export interface Overflow {
  /** Called if no client may read: the buffer is drained to `take`. Not called while an allowed reader is known. */
  readonly drained: () => boolean;
  readonly take: (data: Uint8Array) => void;
}

export interface OutputLimits {
  /** Buffered bytes at which reading from the source is paused. */
  readonly buffer: number;
  /** The maximum that the source (pipe or terminal) can hold in addition to the buffer. */
  readonly source: number;
}

/**
 * What to do with the source when the stream has ended but other writers have it open: `close` it, or `drain` and
 * discard until they close it. If it were closed, a writer that also holds the read end would block for ever.
 */
export type AtEnd = 'close' | 'drain';

interface Waiter {
  readonly length: number;
  readonly settle: (data: Uint8Array) => void;
}

const nothing = new Uint8Array(0);

/**
 * Milliseconds after a read for which a pipe is left to fill. A reader that calls again by then gets what has come meanwhile, with one
 * system call; reading it ahead takes one for each write of the process.
 */
const FILL_MS = 2;

const MAX_CHUNKS = 1024;

/** Maximum number of remembered readers; the oldest is dropped. */
const MAX_READERS = 64;

/**
 * Milliseconds after the process's end at which a stream that a descendant keeps open is ended. Kata's clients wait for
 * the end of file before they request the exit code, for at most 500 ms.
 */
const END_AFTER_EXIT_MS = 350;

/**
 * An output stream of a process: reads ahead from the pipe or terminal up to a limit, and serves reads in order. Every
 * byte that the process wrote before its end is delivered before the end of file. For a short time after a read of a pipe it
 * does not read ahead: the next read takes what is there.
 */
export class OutputStream {
  readonly #source: Readable;
  readonly #limits: OutputLimits;
  readonly #overflow: Overflow;
  readonly #atEnd: AtEnd;
  readonly #waiters: Waiter[] = [];
  /** Readers that were allowed at their last read. */
  readonly #readers: Set<string> = new Set();
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  /** Total number of bytes received, to distinguish an idle source from a busy one. */
  #arrived = 0;
  /** The rest of the pipe is being read: the limit does not apply. */
  #draining = false;
  #over = false;
  /** Ends the time in which the pipe fills. */
  #filled: NodeJS.Timeout | undefined;

  constructor(source: Readable, limits: OutputLimits, overflow: Overflow, atEnd: AtEnd = 'close') {
    this.#source = source;
    this.#atEnd = atEnd;
    this.#limits = limits;
    this.#overflow = overflow;
    source.on('data', (chunk: Uint8Array) => this.#arrive(chunk));
    source.on('end', () => this.end());
    // A terminal ends with EIO when its last user closes it; after any error there is no more output.
    source.on('error', () => this.end());
    source.on('close', () => this.end());
  }

  /** Reports whether the stream has ended. Buffered bytes can still be read. */
  get ended(): boolean {
    return this.#over;
  }

  /** Reports whether the stream has ended and its buffer is empty: reads return the end of file. */
  get finished(): boolean {
    return this.#over && this.#buffered === 0;
  }

  /**
   * Returns 1 to `length` bytes, as soon as there are some; none: end of file. Rejects with the signal's reason when
   * the call is aborted, without consuming any.
   */
  read(length: number, call: CallSignal): Promise<Uint8Array> {
    if (this.#waiters.length === 0 && this.#buffered > 0) return Promise.resolve(this.#take(length));
    if (this.#over || length <= 0) return Promise.resolve(nothing);
    const { signal } = call;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        length,
        settle: (data) => {
          signal.removeEventListener('abort', abort);
          resolve(data);
        },
      };
      const abort = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiters.push(waiter);
      this.#resume();
    });
  }

  /** Records that a reader was allowed or denied. Once no allowed reader is left, the buffer is drained. */
  noteReader(reader: string, admitted: boolean): void {
    this.#readers.delete(reader);
    if (admitted) this.#admit(reader);
    else this.#reconsider();
  }

  /** Forgets the allowed readers: each must be allowed again. */
  forgetReaders(): void {
    this.#readers.clear();
    this.#reconsider();
  }

  /**
   * Called when the process has ended: ends the stream soon, if it does not end by itself. Resolves when no more bytes
   * will arrive.
   */
  async processEnded(): Promise<void> {
    if (this.#over) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, END_AFTER_EXIT_MS);
      this.#source.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    await this.#drain();
    this.end();
  }

  /** Ends the stream at once; buffered bytes can still be read. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#filled);
    if (this.#drained) this.#drainBuffer();
    if (this.#atEnd === 'close') this.#source.destroy();
    else this.#source.resume();
    for (const waiter of this.#waiters.splice(0)) waiter.settle(nothing);
  }

  /**
   * Reads what the process left in the pipe or terminal: at most its capacity, so that a descendant that keeps writing cannot delay
   * the end. One that holds the lock of the pipe does: a time limit would lose output when this process or the pool is late.
   */
  async #drain(): Promise<void> {
    this.#draining = true;
    const { source } = this.#limits;
    if (this.#source instanceof PipeReader) {
      this.#source.resume();
      await this.#source.untilEmpty(this.#source.readableLength + source);
    } else await this.#drainTurns(this.#source, this.#arrived + this.#source.readableLength + source);
  }

  /** A turn of the event loop without data means that the terminal is empty, however late a timer is. */
  async #drainTurns(source: Readable, enough: number): Promise<void> {
    for (let seen = -1; seen !== this.#arrived && this.#arrived < enough && !this.#over; ) {
      seen = this.#arrived;
      source.resume();
      await turn();
      await turn();
    }
  }

  #arrive(chunk: Uint8Array): void {
    this.#arrived += chunk.length;
    if (this.#over) return;
    this.#chunks.push(chunk);
    // Otherwise a writer of single bytes would cost a hundred times its output in small objects.
    if (this.#chunks.length > MAX_CHUNKS) this.#chunks = [Buffer.concat(this.#chunks)];
    this.#buffered += chunk.length;
    while (this.#waiters.length > 0 && this.#buffered > 0) {
      const waiter = this.#waiters.shift();
      waiter?.settle(this.#take(waiter.length));
    }
    if (this.#buffered >= this.#limits.buffer) this.#full();
  }

  get #drained(): boolean {
    return this.#readers.size === 0 && this.#overflow.drained();
  }

  #admit(reader: string): void {
    if (this.#readers.size >= MAX_READERS) {
      for (const oldest of this.#readers) {
        this.#readers.delete(oldest);
        break;
      }
    }
    this.#readers.add(reader);
  }

  #reconsider(): void {
    if (this.#buffered >= this.#limits.buffer) this.#full();
  }

  #full(): void {
    if (this.#drained) this.#drainBuffer();
    else if (!this.#draining) this.#source.pause();
  }

  #drainBuffer(): void {
    for (const chunk of this.#chunks.splice(0)) this.#overflow.take(chunk);
    this.#buffered = 0;
    this.#resume();
  }

  #resume(): void {
    if (!this.#over && this.#source.isPaused()) this.#source.resume();
  }

  #mayFill(): boolean {
    const waits = this.#waiters.length > 0;
    return this.#source instanceof PipeReader && !waits && !this.#draining && !this.#over;
  }

  /** Lets the pipe fill for a while. */
  #letFill(): void {
    this.#source.pause();
    this.#filled ??= setTimeout(() => {
      if (this.#buffered < this.#limits.buffer) this.#resume();
    }, FILL_MS);
    this.#filled.refresh();
  }

  /** No copy if one chunk is enough, as in all large transfers. */
  #take(length: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let missing = Math.min(length, this.#buffered);
    this.#buffered -= missing;
    while (missing > 0) {
      const [chunk] = this.#chunks;
      if (chunk === undefined) break;
      if (chunk.length <= missing) {
        parts.push(chunk);
        this.#chunks.shift();
        missing -= chunk.length;
      } else {
        parts.push(chunk.subarray(0, missing));
        this.#chunks[0] = chunk.subarray(missing);
        missing = 0;
      }
    }
    if (this.#mayFill()) this.#letFill();
    else if (this.#buffered < this.#limits.buffer) this.#resume();
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }
}

/** Waits one turn of the event loop: timers, then I/O, then this. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Keeps in the guest the last bytes of a stream that no client may read (R15): in `FILE` and, before it, `FILE.1`, each
 * at most half of the limit. Created at the first byte.
 */
export class OutputLog {
  readonly #file: string;
  readonly #half: number;
  #written = 0;

  constructor(file: string, bytes: number) {
    this.#file = file;
    this.#half = Math.max(1, Math.floor(bytes / 2));
  }

  append(data: Uint8Array): void {
    if (this.#written === 0) mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    for (let rest = data; rest.length > 0; ) {
      if (this.#written >= this.#half) {
        renameSync(this.#file, `${this.#file}.1`);
        this.#written = 0;
      }
      const part = rest.subarray(0, this.#half - this.#written);
      appendFileSync(this.#file, part, { mode: 0o600 });
      this.#written += part.length;
      rest = rest.subarray(part.length);
    }
  }

  remove(): void {
    for (const file of [this.#file, `${this.#file}.1`]) rmSync(file, { force: true });
  }
}
