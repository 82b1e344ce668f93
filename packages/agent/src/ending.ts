import type { Log } from './log.js';

interface Step {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/**
 * The orderly end: what was brought up is taken down in reverse. A step that fails is logged and does not keep the
 * others from running. It begins once, whoever asks.
 */
export class Ending {
  readonly done: Promise<void>;
  readonly #log: Log;
  readonly #steps: Step[] = [];
  #finish: () => void = () => undefined;
  #begun = false;

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
