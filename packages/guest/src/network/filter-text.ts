import { GuestError } from '../guest-error.js';

/** A line of a table: a rule, or another command of iptables, as words without quotes. */
export interface FilterCommand {
  readonly line: number;
  /** `[5:300]`: packets and bytes; empty: the line has none. */
  readonly counters: string;
  readonly words: readonly string[];
}

interface FilterChain {
  readonly name: string;
  /** `ACCEPT`, `DROP`; `-` for a chain that the kernel does not have itself. */
  readonly policy: string;
  readonly counters: string;
}

export interface FilterTable {
  readonly name: string;
  readonly chains: readonly FilterChain[];
  readonly commands: readonly FilterCommand[];
}

const tableNames: ReadonlySet<string> = new Set(['filter', 'nat', 'mangle', 'raw', 'security']);
/** A text is read in one go, which every other call waits for (S36). Rules of a service mesh have a few thousand bytes. */
const maxText = 128 * 1024;
/** iptables-restore takes 10,239 bytes of a line and reads what follows as another one. */
const maxLine = 8_192;
const chainLine = /^:([A-Za-z0-9_][\w.:+~@-]{0,28})[ \t]+(ACCEPT|DROP|-)(?:[ \t]+(\[\d+:\d+\]))?[ \t]*$/;
const countersPattern = /^(\[\d+:\d+\])[ \t]+/;

/**
 * Reads rules in the form of iptables-save. What iptables-restore is given is written from the result
 * (`writeFilterText`), so that it reads the words that were checked here and no others. Comments are left out.
 *
 * @throws GuestError `invalid` for a text of another form; `refused` for options that no line may have.
 */
export function parseFilterText(rules: Uint8Array): readonly FilterTable[] {
  if (rules.length > maxText) {
    throw new GuestError(
      'invalid',
      `rules: ${rules.length} bytes are more than a request may have, ${maxText}; help: send each table in a request of its own`,
    );
  }
  const text = Buffer.from(rules).toString('latin1');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
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
  if (found === null) throw malformed(line, 'a chain must be like ":INPUT ACCEPT [0:0]"');
  const [, name = '', policy = '', counters = ''] = found;
  return { name, policy, counters };
}

function parseCommand(content: string, line: number): FilterCommand {
  const counters = countersPattern.exec(content);
  const words = splitWords(content.slice(counters?.[0].length ?? 0), line);
  if (words[0]?.startsWith('-') !== true) throw malformed(line, 'a rule must begin with an option: -A CHAIN');
  for (const word of words) checkOption(word, line);
  for (const name of argumentsOf(words, 'match', 'jump', 'goto')) {
    // The name is part of that of a library which iptables loads.
    if (name.includes('/')) throw malformed(line, `${quote(name)} is not a name of a match or a target`);
  }
  return { line, counters: counters?.[1] ?? '', words };
}

/**
 * The words that follow an option, by any of its long names: short, long, shortened, or with `=`. A word that is the argument of
 * another option may be among them, never the other way round.
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

/** As iptables-restore does it (xshared.c, add_param_to_argv): a quote that closes ends its word. */
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
    throw malformed(line, `${quote(word)} must be two words, an option and its argument`);
  }
  if (word === '--') throw malformed(line, '"--" is no option');
  if (word === '-M' || (long !== undefined && 'modprobe'.startsWith(long))) {
    throw new GuestError(
      'refused',
      `rules, line ${line}: ${quote(word)} is refused: it names a program to run`,
    );
  }
  if (word === '-t' || (long !== undefined && 'table'.startsWith(long))) {
    throw malformed(line, `${quote(word)}: a table is named by a line like "*nat"`);
  }
}

function quoted(word: string): string {
  return /^[^\s"\\]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`;
}

function malformed(line: number, what: string): GuestError {
  return new GuestError('invalid', `rules, line ${line}: ${what}`);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
