import { constants } from 'node:os';
import { CommandError, ExitCode, type Io } from '@kata-agent/cli';

/** The signals that are forwarded: those that end programs or that users send to a foreground program. */
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Returns the number of `SIGTERM`, `term` or `15`. Throws a CommandError (wrong use). */
export function signalNumber(text: string): number {
  const byName = new Map<string, number>(Object.entries(constants.signals));
  const upper = text.toUpperCase();
  const number = /^[0-9]{1,2}$/.test(text)
    ? Number(text)
    : (byName.get(upper) ?? byName.get(`SIG${upper}`) ?? Number.NaN);
  if (number >= 1 && number <= 64) return number;
  throw new CommandError(ExitCode.Usage, `'${text}' is not a signal`, {
    help: ['pass a name, TERM or SIGTERM, or a number'],
  });
}

/**
 * Catches this program's signals from construction on, so that none ends the program between the creation of a
 * container and its removal. Signals that arrive before the process exists are queued.
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

  /** Delivers queued and later signals to `deliver`. */
  deliverTo(deliver: (signal: number) => void): void {
    this.#deliver = deliver;
    for (const signal of this.#waiting.splice(0)) deliver(signal);
  }

  stop(): void {
    for (const [name, handler] of this.#handlers) this.#signals.off(name, handler);
    this.#handlers.clear();
  }
}
