import type { Log } from '../log.js';

interface Step {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** The end was requested before the agent was up. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/**
 * The orderly shutdown: components are stopped in reverse order. A failing step is logged and does not stop the others.
 * It runs once; if requested during the start, it begins at the next step.
 */
export class Shutdown {
  readonly done: Promise<void>;
  readonly #log: Log;
  readonly #steps: Step[] = [];
  #finish: () => void = () => undefined;
  #begun = false;
  #up = false;
  #asked: string | undefined;

  constructor(log: Log) {
    this.#log = log;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /** Reports whether there is nothing to stop. */
  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }

  /** Adds the most recent component: it is stopped first. */
  onStop(name: string, run: () => Promise<void>): void {
    this.#steps.unshift({ name, run });
  }

  /** Requests the shutdown. */
  request(reason: string): void {
    if (this.#up) this.begin(reason);
    else this.#asked ??= reason;
  }

  /** Call between two steps of the start. @throws Stopped if the shutdown was requested. */
  check(): void {
    if (this.#asked !== undefined) throw new Stopped(this.#asked);
  }

  /** Marks the start as complete: the shutdown begins when it is requested, or at once if it was. */
  ready(): void {
    this.#up = true;
    if (this.#asked !== undefined) this.begin(this.#asked);
  }

  begin(reason: string): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#log('info', 'shutdown', { reason });
    void this.#takeDown();
  }

  async #takeDown(): Promise<void> {
    for (const { name, run } of this.#steps) {
      try {
        await run();
      } catch (error) {
        this.#log('error', 'could not be stopped', { what: name, error: String(error) });
      }
    }
    this.#finish();
  }
}
