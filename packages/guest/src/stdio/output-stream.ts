import type { Readable } from 'node:stream';

/** What happens to output when the buffer is full: leave it in the pipe, or give it away so that the writer goes on. */
export interface Overflow {
  /** Nobody may read: the buffer is emptied into `take`. Not asked while a reader is known who was let through. */
  readonly drained: () => boolean;
  readonly take: (data: Uint8Array) => void;
}

export interface OutputLimits {
  /** Bytes kept here before the source is paused. */
  readonly buffer: number;
  /** The most that the source (pipe or terminal) can hold beyond the buffer. */
  readonly source: number;
}

/**
 * What happens to the source when the stream has ended and somebody can still write to it: `close`, or `drain` until he has
 * gone, and throw away what he writes. The writer of a pipe that he can read as well would wait for ever if it were closed.
 */
export type AtEnd = 'close' | 'drain';

interface Waiter {
  readonly length: number;
  readonly settle: (data: Uint8Array) => void;
}

const nothing = new Uint8Array(0);

const MOST_CHUNKS = 1024;

/** Readers that are remembered; the one that was let through first makes room. */
const MOST_READERS = 64;

/**
 * After its process has ended, a stream that some grandchild keeps open still ends: so much later, in milliseconds.
 * Kata's clients wait for the end of file before they ask for the exit code, and give 500 ms.
 */
const END_AFTER_EXIT_MS = 350;

/**
 * One output stream of a process: reads from the pipe or terminal ahead of its readers, up to a limit, and answers
 * reads in the order in which they came. Every byte that the process wrote before it ended is delivered before the end
 * of file.
 */
export class OutputStream {
  readonly #source: Readable;
  readonly #limits: OutputLimits;
  readonly #overflow: Overflow;
  readonly #atEnd: AtEnd;
  readonly #waiters: Waiter[] = [];
  /** Who was let through at his last read. */
  readonly #readers: Set<string> = new Set();
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  /** All that ever came, to tell a silent source from a busy one. */
  #arrived = 0;
  /** The last bytes are being fetched: the limit counts no more. */
  #draining = false;
  #over = false;

  constructor(source: Readable, limits: OutputLimits, overflow: Overflow, atEnd: AtEnd = 'close') {
    this.#source = source;
    this.#atEnd = atEnd;
    this.#limits = limits;
    this.#overflow = overflow;
    source.on('data', (chunk: Uint8Array) => this.#arrive(chunk));
    source.on('end', () => this.end());
    // A terminal whose last user has gone ends with EIO; whatever the error is, nothing more will come.
    source.on('error', () => this.end());
    source.on('close', () => this.end());
  }

  /** Nothing more will arrive. What is buffered can still be read. */
  get ended(): boolean {
    return this.#over;
  }

  /** Nothing more will be answered but the end of file. */
  get finished(): boolean {
    return this.#over && this.#buffered === 0;
  }

  /**
   * 1 to `length` bytes, as soon as there are some; none: end of file. Rejects with the signal's reason when aborted,
   * and then takes nothing away.
   */
  read(length: number, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#buffered > 0 && this.#waiters.length === 0) return Promise.resolve(this.#take(length));
    if (this.#over || length <= 0) return Promise.resolve(nothing);
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
    });
  }

  /** A reader was let through, or refused. What was kept for the last one who might have it is given away. */
  noteReader(reader: string, admitted: boolean): void {
    this.#readers.delete(reader);
    if (admitted) this.#admit(reader);
    else this.#reconsider();
  }

  /** Whoever was let through has to be let through anew. */
  forgetReaders(): void {
    this.#readers.clear();
    this.#reconsider();
  }

  /** The process has ended: so does the stream, by itself or soon. Resolves when nothing more will arrive. */
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

  /** Ends the stream now; what is buffered can still be read. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#drained) this.#giveAway();
    if (this.#atEnd === 'close') this.#source.destroy();
    else this.#source.resume();
    for (const waiter of this.#waiters.splice(0)) waiter.settle(nothing);
  }

  /**
   * Fetches what the process left in the pipe. That is at most what a pipe holds, so that a grandchild that writes
   * without end cannot keep us here. A turn of the event loop in which nothing came has seen the pipe empty, however
   * late the timer was.
   */
  async #drain(): Promise<void> {
    this.#draining = true;
    const enough = this.#arrived + this.#source.readableLength + this.#limits.source;
    for (let seen = -1; seen !== this.#arrived && this.#arrived < enough && !this.#over; ) {
      seen = this.#arrived;
      this.#source.resume();
      await turn();
      await turn();
    }
  }

  #arrive(chunk: Uint8Array): void {
    this.#arrived += chunk.length;
    if (this.#over) return;
    this.#chunks.push(chunk);
    // A writer of single bytes would otherwise cost a hundred times its output in small objects.
    if (this.#chunks.length > MOST_CHUNKS) this.#chunks = [Buffer.concat(this.#chunks)];
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
    if (this.#readers.size >= MOST_READERS) {
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
    if (this.#drained) this.#giveAway();
    else if (!this.#draining) this.#source.pause();
  }

  #giveAway(): void {
    for (const chunk of this.#chunks.splice(0)) this.#overflow.take(chunk);
    this.#buffered = 0;
    this.#goOn();
  }

  #goOn(): void {
    if (!this.#over && this.#source.isPaused()) this.#source.resume();
  }

  /** Without a copy when one chunk is enough, which it is for all large transfers. */
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
    if (this.#buffered < this.#limits.buffer) this.#goOn();
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }
}

/** Once around the event loop: timers, then what the kernel has, then this. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
