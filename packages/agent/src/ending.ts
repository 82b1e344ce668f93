import type { Log } from './log.js';

interface Step {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** The end was asked for before the agent was up. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/**
 * The orderly end: what was brought up is taken down in reverse. A step that fails is logged and does not keep the
 * others from running. It begins once, whoever asks; asked for while the agent is brought up, it begins at the next step.
 */
export class Ending {
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

  /** Adds what was brought up last: it is taken down first. */
  last(name: string, run: () => Promise<void>): void {
    this.#steps.unshift({ name, run });
  }

  /** Asks for the end. */
  ask(reason: string): void {
    if (this.#up) this.begin(reason);
    else this.#asked ??= reason;
  }

  /** Call between two steps of what brings the agent up. @throws Stopped when the end was asked for. */
  check(): void {
    if (this.#asked !== undefined) throw new Stopped(this.#asked);
  }

  /** All is brought up: the end begins when it is asked for, and at once if it was. */
  ready(): void {
    this.#up = true;
    if (this.#asked !== undefined) this.begin(this.#asked);
  }

  begin(reason: string): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#log('info', 'ending', { reason });
    void this.#takeDown();
  }

  async #takeDown(): Promise<void> {
    for (const { name, run } of this.#steps) {
      try {
        await run();
      } catch (error) {
        this.#log('error', 'could not be ended', { what: name, error: String(error) });
      }
    }
    this.#finish();
  }
}
