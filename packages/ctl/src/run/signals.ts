import { constants } from 'node:os';
import type { Io } from '../cli/io.js';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';

/** The signals that end programs and that people send to one in the foreground. */
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** The number of `SIGTERM`, `term` or `15`. Throws a CommandError (wrong use). */
export function signalNumber(text: string): number {
  const byName = new Map<string, number>(Object.entries(constants.signals));
  const upper = text.toUpperCase();
  const number = /^[0-9]{1,2}$/.test(text)
    ? Number(text)
    : (byName.get(upper) ?? byName.get(`SIG${upper}`) ?? Number.NaN);
  if (number >= 1 && number <= 64) return number;
  throw new CommandError(ExitCode.Usage, `'${text}' is not a signal`, {
    help: ['Write its name, TERM or SIGTERM, or its number.'],
  });
}

/**
 * Takes this program's signals from the moment it is made, so that none ends the program between the creation of a
 * container and its removal. Those that come before there is a process wait for it.
 */
export class SignalForwarder {
  readonly #signals: Io['signals'];
  readonly #handlers = new Map<string, () => void>();
  readonly #waiting: number[] = [];
  #deliver: ((signal: number) => void) | undefined;

  constructor(signals: Io['signals']) {
    this.#signals = signals;
    for (const name of forwarded) {
      const number = signalNumber(name);
      const handler = (): void => {
        if (this.#deliver === undefined) this.#waiting.push(number);
        else this.#deliver(number);
      };
      this.#handlers.set(name, handler);
      signals.on(name, handler);
    }
  }

  /** From now on signals go to `deliver`, those that waited first. */
  deliverTo(deliver: (signal: number) => void): void {
    this.#deliver = deliver;
    for (const signal of this.#waiting.splice(0)) deliver(signal);
  }

  stop(): void {
    for (const [name, handler] of this.#handlers) this.#signals.off(name, handler);
    this.#handlers.clear();
  }
}
