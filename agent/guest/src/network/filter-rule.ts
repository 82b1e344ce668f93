import { GuestError } from '../guest-error.js';
import type { FilterCommand } from './filter-text.js';
import { quotedWord } from '../quoted.js';

/** A rule that `-A` or `-I` adds to a chain. */
export interface FilterRule {
  readonly chain: string;
  readonly options: readonly FilterOption[];
}

interface FilterOption {
  /** The long name of an option of iptables (`jump`, `source`); the name of an extension's option as it was written. */
  readonly name: string;
  readonly values: readonly string[];
}

/** Options of iptables that a rule may have (iptables/xshared.h), by short name. */
const ruleOptions: ReadonlyMap<string, string> = new Map([
  ['p', 'protocol'],
  ['s', 'source'],
  ['d', 'destination'],
  ['i', 'in-interface'],
  ['o', 'out-interface'],
  ['f', 'fragments'],
  ['m', 'match'],
  ['j', 'jump'],
  ['g', 'goto'],
  ['c', 'set-counters'],
  ['4', 'ipv4'],
  ['6', 'ipv6'],
]);
const aliases: ReadonlyMap<string, string> = new Map([
  ['src', 'source'],
  ['dst', 'destination'],
]);
const ruleNames: ReadonlySet<string> = new Set([...ruleOptions.values(), ...aliases.keys()]);
const adding: ReadonlySet<string> = new Set(['-A', '--append', '-I', '--insert']);
const declaring: ReadonlySet<string> = new Set(['-N', '--new-chain']);

/** All long options of iptables (iptables/iptables.c, nft-shared.c). It accepts unambiguous prefixes of each. */
const ownNames: readonly string[] = [
  ...ruleNames,
  ...(
    'append check delete delete-chain exact flush help insert line-numbers list list-rules modprobe new-chain ' +
    'numeric policy rename-chain replace table verbose version wait wait-interval zero'
  ).split(' '),
];
/**
 * Options of the matches `policy` and `recent` whose names begin like options of iptables: the whole name is matched
 * first.
 */
const wholeNames: ReadonlySet<string> = new Set(['pol', 'proto', 'set']);

const chainName = /^[A-Za-z0-9_][\w.:+~@-]{0,28}$/;

/**
 * Target names consist of capital letters and digits, and iptables looks up a target before a chain. So a rule cannot
 * jump to a chain with such a name.
 */
export function isChainName(name: string): boolean {
  return chainName.test(name) && !/^[A-Z0-9]+$/.test(name);
}

/** Returns the chain that a command creates, `-N CHAIN`; undefined for another command. */
export function declaredChain({ line, words }: FilterCommand): string | undefined {
  const [command = '', name = '', ...rest] = words;
  if (!declaring.has(command)) return undefined;
  if (rest.length > 0 || !chainName.test(name))
    throw wrong(line, `${quotedWord(words.join(' '))} must be -N CHAIN`);
  return name;
}

/**
 * Parses a rule. Each word that begins with `-` is an option and never the argument of one, so that it does not matter
 * which options of an extension have arguments. iptables-save writes no rule that is refused here, but for a comment or
 * a prefix that begins with `-`.
 *
 * @throws GuestError `invalid` for a rule of another form; `refused` for a command other than `-A` and `-I`.
 */
export function parseRule({ line, words }: FilterCommand): FilterRule {
  const [command = '', chain = '', ...rest] = words;
  if (!adding.has(command)) {
    throw new GuestError(
      'refused',
      `rules, line ${line}: command ${quotedWord(command)} is refused under privileged_containers = "refuse"; help: send whole tables, of chains (":NAME - [0:0]") and rules ("-A NAME …"), as iptables-save writes them`,
    );
  }
  if (!chainName.test(chain)) throw wrong(line, `${quotedWord(chain)} is not a name of a chain`);
  const options: { name: string; values: string[] }[] = [];
  for (const [index, word] of rest.entries()) {
    if (word === '!') {
      if (rest[index + 1]?.startsWith('-') !== true) throw wrong(line, '"!" must come before an option');
      continue;
    }
    const last = options.at(-1);
    if (word.startsWith('-')) options.push(parseOption(word, line));
    // `-I CHAIN 1`
    else if (last !== undefined) last.values.push(word);
    else if (!/^\d{1,9}$/.test(word)) throw wrong(line, `${quotedWord(word)} is not an option`);
  }
  return { chain, options };
}

function parseOption(word: string, line: number): { name: string; values: string[] } {
  if (!word.startsWith('--')) {
    const name = ruleOptions.get(word.slice(1));
    if (name === undefined) throw notAnOption(word, line);
    return { name, values: [] };
  }
  const [name = '', ...value] = word.slice(2).split(/=(.*)/s).slice(0, 2);
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) throw notAnOption(word, line);
  if (ruleNames.has(name)) return { name: aliases.get(name) ?? name, values: value };
  if (!wholeNames.has(name) && ownNames.some((own) => own.startsWith(name))) throw notAnOption(word, line);
  return { name, values: value };
}

function notAnOption(word: string, line: number): GuestError {
  return wrong(
    line,
    `${quotedWord(word)} is not an option of a rule; help: write options in full, as iptables-save does, and no argument that begins with "-"`,
  );
}

function wrong(line: number, what: string): GuestError {
  return new GuestError('invalid', `rules, line ${line}: ${what}`);
}
