import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';

/** A line of a table: a rule, or another command of iptables, as words without quotes. */
export interface FilterCommand {
  readonly line: number;
  /** `[5:300]`: packets and bytes; empty: the line has none. */
  readonly counters: string;
  readonly words: readonly string[];
}

interface FilterChain {
  readonly name: string;
  /** `ACCEPT`, `DROP`; `-` for a user-defined chain. */
  readonly policy: string;
  readonly counters: string;
}

export interface FilterTable {
  readonly name: string;
  readonly chains: readonly FilterChain[];
  readonly commands: readonly FilterCommand[];
}

const tableNames: ReadonlySet<string> = new Set(['filter', 'nat', 'mangle', 'raw', 'security']);
/**
 * A text is parsed synchronously, which blocks every other call (S36). Rules of a service mesh have a few thousand
 * bytes.
 */
const maxText = 128 * 1024;
/** iptables-restore reads 10,239 bytes of a line and takes the rest as another line. */
const maxLine = 8_192;
const chainLine = /^:([A-Za-z0-9_][\w.:+~@-]{0,28})[ \t]+(ACCEPT|DROP|-)(?:[ \t]+(\[\d+:\d+\]))?[ \t]*$/;
const countersPattern = /^(\[\d+:\d+\])[ \t]+/;

/**
 * Parses rules in the form of iptables-save. The input of iptables-restore is written from the result
 * (`writeFilterText`), so that it gets the words that were checked and no others. Comments are left out.
 *
 * @throws GuestError `invalid` for a text of another form; `refused` for options that no line may have.
 */
export function parseFilterText(rules: Uint8Array): readonly FilterTable[] {
  if (rules.length > maxText) {
    throw new GuestError(
      'invalid',
      `rules: ${rules.length} bytes exceed the limit of ${maxText} in a request; help: send each table in a request of its own`,
    );
  }
  const text = Buffer.from(rules).toString('latin1');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this finds
  const control = /[\x00-\x08\x0b-\x1f\x7f]/.exec(text);
  if (control !== null) {
    const line = text.slice(0, control.index).split('\n').length;
    throw malformed(line, 'it has a control character');
  }
  const tables: FilterTable[] = [];
  let open: { name: string; chains: FilterChain[]; commands: FilterCommand[] } | undefined;
  for (const [index, content] of text.split('\n').entries()) {
    const line = index + 1;
    if (content.length > maxLine) throw malformed(line, `it has more than ${maxLine} bytes`);
    if (content.trim() === '' || content.startsWith('#')) continue;
    if (open === undefined) {
      const name = /^\*[ \t]*([a-z]+)[ \t]*$/.exec(content)?.[1];
      if (name === undefined || !tableNames.has(name))
        throw malformed(line, 'a table must begin here: *filter');
      open = { name, chains: [], commands: [] };
    } else if (content.trim() === 'COMMIT') {
      tables.push(open);
      open = undefined;
    } else if (content.startsWith(':')) {
      open.chains.push(parseChain(content, line));
    } else {
      open.commands.push(parseCommand(content, line));
    }
  }
  if (open !== undefined) throw new GuestError('invalid', `rules: table ${open.name} has no COMMIT`);
  return tables;
}

export function writeFilterText(tables: readonly FilterTable[]): Buffer {
  const lines = tables.flatMap(({ name, chains, commands }) => [
    `*${name}`,
    ...chains.map((chain) => `:${chain.name} ${chain.policy} ${chain.counters}`.trimEnd()),
    ...commands.map(({ counters, words }) => [counters, ...words.map(quoted)].join(' ').trimStart()),
    'COMMIT',
  ]);
  return Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
}

function parseChain(content: string, line: number): FilterChain {
  const found = chainLine.exec(content);
  if (found === null) throw malformed(line, 'a chain must have the form ":INPUT ACCEPT [0:0]"');
  const [, name = '', policy = '', counters = ''] = found;
  return { name, policy, counters };
}

function parseCommand(content: string, line: number): FilterCommand {
  const counters = countersPattern.exec(content);
  const words = splitWords(content.slice(counters?.[0].length ?? 0), line);
  if (words[0]?.startsWith('-') !== true) throw malformed(line, 'a rule must begin with an option: -A CHAIN');
  for (const word of words) checkOption(word, line);
  for (const name of argumentsOf(words, 'match', 'jump', 'goto')) {
    // iptables builds the path of a library from this name.
    if (name.includes('/')) throw malformed(line, `${quotedWord(name)} is not a name of a match or a target`);
  }
  return { line, counters: counters?.[1] ?? '', words };
}

/**
 * Returns the words that follow an option, by any of its forms: short, long, abbreviated, or with `=`. May include the
 * argument of another option, but misses none.
 */
function argumentsOf(words: readonly string[], ...names: readonly string[]): readonly string[] {
  return words.flatMap((word, index) => {
    if (!word.startsWith('-')) return [];
    const [, short, long, value] = /^-(?:([^-])|-([^=]+)(?:=(.*))?)$/s.exec(word) ?? [];
    const named = names.some(
      (name) => short === name[0] || (long !== undefined && name.toLowerCase().startsWith(long)),
    );
    return named ? [value ?? words[index + 1] ?? ''] : [];
  });
}

/** As in iptables-restore (xshared.c, add_param_to_argv): a closing quote ends its word. */
function splitWords(text: string, line: number): readonly string[] {
  if (!text.includes('"')) return text.split(/[ \t]+/).filter((word) => word !== '');
  const words: string[] = [];
  let word = '';
  let inQuotes = false;
  let escaped = false;
  for (const character of text) {
    if (inQuotes && escaped) {
      word += character;
      escaped = false;
    } else if (inQuotes && character === '\\') {
      escaped = true;
    } else if (inQuotes && character === '"') {
      inQuotes = false;
      words.push(word);
      word = '';
    } else if (inQuotes) {
      word += character;
    } else if (character === '"') {
      inQuotes = true;
    } else if (character !== ' ' && character !== '\t') {
      word += character;
    } else if (word !== '') {
      words.push(word);
      word = '';
    }
  }
  if (inQuotes) throw malformed(line, 'a quote is not closed');
  if (word !== '') words.push(word);
  return words;
}

/**
 * An option is `-X` or `--name`, its argument another word, as iptables-save writes them. iptables also takes
 * `-fM /bin/sh`, `-M/bin/sh`, `--mod"probe"` and `--mo=`: each names a program that it runs as root.
 */
function checkOption(word: string, line: number): void {
  if (!word.startsWith('-')) return;
  const long = /^--([^=]+)/.exec(word)?.[1];
  if (long === undefined && word.length !== 2) {
    throw malformed(line, `${quotedWord(word)} must be two words, an option and its argument`);
  }
  if (word === '--') throw malformed(line, '"--" is no option');
  if (word === '-M' || (long !== undefined && 'modprobe'.startsWith(long))) {
    throw new GuestError(
      'refused',
      `rules, line ${line}: ${quotedWord(word)} is refused: it names a program to run`,
    );
  }
  if (word === '-t' || (long !== undefined && 'table'.startsWith(long))) {
    throw malformed(line, `${quotedWord(word)}: a table is named by a line like "*nat"`);
  }
}

function quoted(word: string): string {
  return /^[^\s"\\]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`;
}

function malformed(line: number, what: string): GuestError {
  return new GuestError('invalid', `rules, line ${line}: ${what}`);
}
