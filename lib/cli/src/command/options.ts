import { CommandError } from './command-error.js';
import { ExitCode } from './exit-code.js';
import { parseDuration } from './duration.js';

/** The options of one invocation, by their long names in lowerCamelCase, with typed accessors. */
export class Options {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  /** Reports whether `--no-NAME` was given. */
  negated(name: string): boolean {
    return this.#values[name] === false;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Returns milliseconds. Throws a CommandError (wrong use). */
  duration(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : parseDuration(text, `--${dashed(name)}`);
  }

  /** Returns an integer from `least` to `most`. Throws a CommandError (wrong use). */
  whole(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new CommandError(
      ExitCode.Usage,
      `--${dashed(name)} '${text}': must be an integer from ${min} to ${max}`,
    );
  }

  /** Reports whether the output format is JSON. */
  get json(): boolean {
    return this.text('format') === 'json';
  }
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
