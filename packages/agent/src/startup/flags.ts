/** A flag of the command line. */
export interface Flag {
  /** Without `--`. */
  readonly name: string;
  readonly letter?: string;
  /** What its value is called; undefined: it has none. */
  readonly value?: string;
  /** Without a value it is "true". */
  readonly optionalValue?: boolean;
  readonly purpose: string;
}

/** The command line is wrong. The message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Returns a flag as help and errors name it: `-c, --config <file>`. */
export function describeFlag({ name, letter, value, optionalValue = false }: Flag): string {
  const words = letter === undefined ? `--${name}` : `-${letter}, --${name}`;
  if (value === undefined) return words;
  return optionalValue ? `${words} [${value}]` : `${words} <${value}>`;
}

/**
 * Returns the values of the flags in the words of a command line, by their names; "true" for a flag without. Of a repeated flag
 * the last counts.
 *
 * @throws UsageError for anything else
 */
export function parseFlags(flags: readonly Flag[], argv: readonly string[]): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, letters, long, attached] = /^(?:-([a-zA-Z])|--([^=]+))(?:=(.*))?$/s.exec(word) ?? [];
    if (letters === undefined && long === undefined) {
      const more = word === '--' ? words : [word, ...words];
      if (more.length === 0) break;
      if (word.startsWith('-') && word !== '--' && word !== '-') throw unknown(word);
      throw new UsageError(`too many arguments: ${more.length}, and this program takes only options`);
    }
    const flag = flags.find(
      ({ name, letter }) => name === long || (letters !== undefined && letter === letters),
    );
    if (flag === undefined) throw unknown(letters === undefined ? `--${long}` : `-${letters}`);
    given.set(flag.name, valueOf(flag, attached, words));
  }
  return given;
}

/** Takes a value that is a word of its own from the words. */
function valueOf(flag: Flag, attached: string | undefined, words: string[]): string {
  if (flag.value === undefined) {
    if (attached === undefined) return 'true';
    throw new UsageError(`option '${describeFlag(flag)}' takes no value`);
  }
  if (attached !== undefined) return attached;
  const [next] = words;
  if (flag.optionalValue === true && (next === undefined || /^-./s.test(next))) return 'true';
  if (next === undefined) throw new UsageError(`option '${describeFlag(flag)}' argument missing`);
  words.shift();
  return next;
}

function unknown(word: string): UsageError {
  return new UsageError(`unknown option '${word}'`);
}
