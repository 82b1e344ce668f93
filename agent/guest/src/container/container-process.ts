import type { CallSignal } from '../call-signal.js';
import { GuestError } from '../guest-error.js';
import type { PipeInodes } from '../stdio/prepare-streams.js';
import type { ProcessStreams } from '../stdio/process-streams.js';

interface Parts {
  readonly pid: number;
  /** See `processStat`. */
  readonly startTime: number;
  readonly streams: ProcessStreams;
  /** Undefined with a terminal. */
  readonly pipes: PipeInodes | undefined;
  /** Its exit code. Never rejects. */
  readonly exit: Promise<number>;
  readonly waitedFor?: boolean;
  readonly signalled?: boolean;
}

/** A process of a container, from its start until its exit code can no longer be requested. */
export class ContainerProcess {
  readonly pid: number;
  readonly startTime: number;
  readonly streams: ProcessStreams;
  readonly pipes: PipeInodes | undefined;
  /** Called when it has ended, when its exit code has been delivered, and when the first signal or kill is noted. */
  changed: () => void = () => undefined;
  readonly #exit: Promise<number>;
  #code: number | undefined;
  #waitedFor: boolean;
  #signalled: boolean;

  /** `exit` is kept: every later request gets the exit code. */
  constructor({ pid, startTime, streams, pipes, exit, waitedFor = false, signalled = false }: Parts) {
    this.pid = pid;
    this.startTime = startTime;
    this.streams = streams;
    this.pipes = pipes;
    this.#waitedFor = waitedFor;
    this.#signalled = signalled;
    this.#exit = exit.then((code) => {
      this.#code = code;
      streams.processEnded();
      this.changed();
      return code;
    });
  }

  /** Its exit code. Undefined: it is running. */
  get code(): number | undefined {
    return this.#code;
  }

  /** Whether a call has signalled it while it ran, or the kernel has killed a process of its container; of a first process. */
  get signalled(): boolean {
    return this.#signalled;
  }

  /**
   * The exit code for rules. Undefined as well if it was signalled, or a process of its container was killed: a program that ends
   * orderly when it is asked to, or does not look at how its children end, exits with 0, and has not done what it was started for (S35).
   */
  get ownCode(): number | undefined {
    return this.#signalled ? undefined : this.#code;
  }

  /** Notes that a call signals it, before it does. */
  noteSignal(): void {
    this.#note();
  }

  /** Notes that the kernel has killed a process of its container by the OOM killer, whose limit the host chooses. */
  noteKill(): void {
    this.#note();
  }

  #note(): void {
    if (this.#signalled) return;
    this.#signalled = true;
    this.changed();
  }

  get waitedFor(): boolean {
    return this.#waitedFor;
  }

  get ended(): boolean {
    return this.#code !== undefined;
  }

  /** Reports whether it has ended and its exit code has been delivered: its record may be dropped. */
  get forgettable(): boolean {
    return this.ended && this.#waitedFor;
  }

  /** Resolves when it has ended; never rejects. */
  get exit(): Promise<number> {
    return this.#exit;
  }

  /** Returns the exit code, or 128 + n after signal n. Rejects with the signal's reason when the call is aborted. */
  async wait(call: CallSignal): Promise<number> {
    const code = this.#code ?? (await abortable(this.#exit, call.signal));
    if (!this.#waitedFor) {
      this.#waitedFor = true;
      this.changed();
    }
    return code;
  }

  /** Returns the pid for signals. Undefined once it was reaped: the pid may have been reused. */
  livePid(named: string): number {
    if (this.ended) {
      throw new GuestError('not-found', `ESRCH: No such process: ${named} has ended with ${this.#code}`);
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
