import { GuestError } from '../guest-error.js';
import type { PipeInodes } from '../stdio/prepared-streams.js';
import type { ProcessStreams } from '../stdio/process-streams.js';

interface Parts {
  readonly pid: number;
  /** See `processStat`. */
  readonly startTime: number;
  readonly streams: ProcessStreams;
  /** Undefined with a terminal. */
  readonly pipes: PipeInodes | undefined;
  /** Its code. Never rejects. */
  readonly exit: Promise<number>;
  readonly waitedFor?: boolean;
}

/** A process of a container, from its start until nobody can ask for it any more. */
export class ContainerProcess {
  readonly pid: number;
  readonly startTime: number;
  readonly streams: ProcessStreams;
  readonly pipes: PipeInodes | undefined;
  /** Called when it has ended, and when somebody was told how. */
  changed: () => void = () => undefined;
  readonly #exit: Promise<number>;
  #code: number | undefined;
  #waitedFor: boolean;

  /** `exit` is kept here: however late somebody asks, and however many do, they get the code. */
  constructor({ pid, startTime, streams, pipes, exit, waitedFor = false }: Parts) {
    this.pid = pid;
    this.startTime = startTime;
    this.streams = streams;
    this.pipes = pipes;
    this.#waitedFor = waitedFor;
    this.#exit = exit.then((code) => {
      this.#code = code;
      streams.processEnded();
      this.changed();
      return code;
    });
  }

  /** Undefined: it runs. */
  get code(): number | undefined {
    return this.#code;
  }

  get waitedFor(): boolean {
    return this.#waitedFor;
  }

  get ended(): boolean {
    return this.#code !== undefined;
  }

  /** It ended and somebody was told how: its record may make room for another's. */
  get forgettable(): boolean {
    return this.ended && this.#waitedFor;
  }

  /** Resolves when it has ended; never rejects. */
  get exit(): Promise<number> {
    return this.#exit;
  }

  /** The exit code, or 128 + n after signal n. Rejects with the signal's reason when aborted. */
  async wait(signal: AbortSignal): Promise<number> {
    const code = this.#code ?? (await abortable(this.#exit, signal));
    if (!this.#waitedFor) {
      this.#waitedFor = true;
      this.changed();
    }
    return code;
  }

  /** The pid to be signalled. Not one that was reaped: it may be somebody else's by now. */
  livePid(what: string): number {
    if (this.ended) {
      throw new GuestError('not-found', `ESRCH: No such process: ${what} has ended with ${this.#code}`);
    }
    return this.pid;
  }
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
