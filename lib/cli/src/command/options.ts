import { Option } from 'commander';
import { CommandError, ExitCode } from './command-error.js';

/** The options of one invocation, by their long names in lowerCamelCase, with typed accessors. */
export class Options {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** Returns the values of these options: with them another thread has the same Options. */
  valuesOf(rows: readonly { readonly flags: string }[]): Readonly<Record<string, unknown>> {
    const names = rows.map(({ flags }) => new Option(flags).attributeName());
    return Object.fromEntries(names.map((name) => [name, this.#values[name]]));
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

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Node's timers are limited to 31 bits of milliseconds; a larger delay fires at once. */
const longestMs = 2 ** 31 - 1;

/**
 * Parses `500ms`, `5s`, `2m` or `1h` into milliseconds; a bare number is seconds. Throws a CommandError (wrong use).
 */
export function parseDuration(text: string, what: string): number {
  const match = /^([0-9]{1,10}(?:\.[0-9]{1,3})?)(ms|s|m|h)?$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * (unitMs[match[2] ?? 's'] ?? Number.NaN);
  if (value > 0 && value <= longestMs) return Math.max(1, Math.round(value));
  throw new CommandError(ExitCode.Usage, `invalid ${what} '${text}'`, {
    help: ['write 5s, 500ms or 2m; a bare number is seconds; the maximum is 24 days'],
  });
}
