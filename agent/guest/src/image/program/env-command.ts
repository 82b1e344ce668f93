/** What `env` starts. */
export interface EnvCommand {
  readonly command: string;
  /** The environment of the command. */
  readonly variables: ReadonlyMap<string, string>;
}

type Variables = ReadonlyMap<string, string>;

/** Options without an argument that change neither the command nor its environment. */
const harmless: ReadonlySet<string> = new Set(['--debug', '--list-signal-handling']);
const ofSignals = /^--(?:block|default|ignore)-signal(?:=|$)/;

/**
 * Returns the command that `env` starts, with options, `-S`, assignments; undefined: it starts none, or which one cannot be known.
 *
 * Source: env(1) of GNU coreutils 9.1.
 *
 * @param words its arguments: of a script one word, as the kernel passes it, and the script
 */
export function envCommand(words: readonly string[], variables: Variables): EnvCommand | undefined {
  const rest = [...words];
  const unset: string[] = [];
  let isEmpty = false;
  for (;;) {
    const word = rest[0];
    if (word === undefined || word === '-' || !word.startsWith('-')) break;
    rest.shift();
    if (word === '--') break;
    const option = optionOf(word, rest);
    if (option === undefined) return undefined;
    isEmpty ||= option.isEmpty === true;
    if (option.unset !== undefined) unset.push(option.unset);
    if (option.split === undefined) continue;
    const split = splitWords(option.split, variables);
    if (split === undefined) return undefined;
    rest.unshift(...split);
  }
  if (rest[0] === '-') {
    rest.shift();
    isEmpty = true;
  }
  const own = new Map(isEmpty ? [] : variables);
  for (const name of unset) own.delete(name);
  for (let word = rest[0]; word?.includes('=') === true; word = rest[0]) {
    if (word.startsWith('=')) return undefined;
    own.set(word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1));
    rest.shift();
  }
  const [command] = rest;
  return command === undefined || command === '' ? undefined : { command, variables: own };
}

interface Option {
  readonly isEmpty?: boolean;
  readonly unset?: string;
  /** The text that `-S` splits. */
  readonly split?: string;
}

/** Parses an option, and takes its argument from `rest`. `--chdir` and abbreviations are not understood. */
function optionOf(word: string, rest: string[]): Option | undefined {
  if (word.startsWith('--')) return longOption(word, rest);
  let found: Option = {};
  for (let at = 1; at < word.length; at += 1) {
    const letter = word[at] ?? '';
    if (letter === 'i') found = { ...found, isEmpty: true };
    else if (letter === 'v') continue;
    else if ('uSa'.includes(letter)) {
      const argument = at + 1 < word.length ? word.slice(at + 1) : rest.shift();
      if (argument === undefined) return undefined;
      if (letter === 'u') return { ...found, unset: argument };
      return letter === 'S' ? { ...found, split: argument } : found;
    } else return undefined;
  }
  return found;
}

function longOption(word: string, rest: string[]): Option | undefined {
  if (word === '--ignore-environment') return { isEmpty: true };
  if (harmless.has(word) || ofSignals.test(word)) return {};
  const [, name, value] = /^--(unset|split-string|argv0)(?:=([^]*))?$/.exec(word) ?? [];
  if (name === undefined) return undefined;
  const argument = value ?? rest.shift();
  if (argument === undefined) return undefined;
  if (name === 'unset') return { unset: argument };
  return name === 'argv0' ? {} : { split: argument };
}

const escaped: Readonly<Record<string, string>> = {
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '#': '#',
  $: '$',
  '"': '"',
  "'": "'",
  '\\': '\\',
};

/** Splits a text as `-S` does, with quotes, escapes and `${NAME}`; undefined: `env` would refuse it. */
function splitWords(text: string, variables: Variables): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at] ?? '';
    if (quote === '' && /[ \t\n\v\f\r]/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (quote === '' && word === undefined && letter === '#') {
      return words;
    } else if (letter === quote || (quote === '' && (letter === '"' || letter === "'"))) {
      word ??= '';
      quote = quote === '' ? letter : '';
    } else if (letter === '\\') {
      const next = text[at + 1] ?? '';
      at += 1;
      if (quote === "'") {
        word = `${word ?? ''}${next === '\\' || next === "'" ? next : `\\${next}`}`;
      } else if (next === 'c' && quote === '') {
        break;
      } else if (next === '_' && quote === '') {
        if (word !== undefined) words.push(word);
        word = undefined;
      } else {
        const value = next === '_' ? ' ' : escaped[next];
        if (value === undefined) return undefined;
        word = `${word ?? ''}${value}`;
      }
    } else if (letter === '$' && quote !== "'") {
      const [found, name] = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}/.exec(text.slice(at)) ?? [];
      if (found === undefined || name === undefined) return undefined;
      // A variable that is not set, outside of quotes, makes no word.
      const value = variables.get(name);
      if (value !== undefined) word = `${word ?? ''}${value}`;
      at += found.length - 1;
    } else {
      word = `${word ?? ''}${letter}`;
    }
  }
  if (quote !== '') return undefined;
  return word === undefined ? words : [...words, word];
}
