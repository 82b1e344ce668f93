import { GuestError } from '../guest-error.js';
import type { ProcessStreams } from '../stdio/process-streams.js';

/** A process of a container, from its start until nobody can ask for it any more. */
export class ContainerProcess {
  readonly pid: number;
  readonly streams: ProcessStreams;
  readonly #exit: Promise<number>;
  #code: number | undefined;
  #waitedFor = false;

  /** `exit` is kept here: however late somebody asks, and however many do, they get the code. */
  constructor(pid: number, streams: ProcessStreams, exit: Promise<number>) {
    this.pid = pid;
    this.streams = streams;
    this.#exit = exit.then((code) => {
      this.#code = code;
      streams.processEnded();
      return code;
    });
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
    this.#waitedFor = true;
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
