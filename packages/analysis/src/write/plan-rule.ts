import type { Ask } from './ask.js';
import { type Entry, type FactName, originKey } from './fact-name.js';
import { facts } from './facts.js';
import type { OwnValues, PlannedRule, Wanted } from './plan.js';

/** What a rule of one fact says, or why there is none. */
export type RulePart =
  | Pick<PlannedRule, 'wholeCommand' | 'values' | 'patterns' | 'own'>
  | { readonly why: readonly string[] };

/** The rule of one fact for the asks of one method. Undefined: no ask knows this fact. */
export function planRule(fact: FactName, asks: readonly Ask[]): RulePart | undefined {
  const wholeCommand = fact === 'command' && asks.every((ask) => ask.args !== undefined);
  const answers = asks.map((ask) => ({ ask, entries: entriesOf(fact, ask, wholeCommand) }));
  const silent = answers.filter(({ entries }) => entries === undefined);
  if (silent.length === answers.length && silent.every(({ ask }) => !ask.unknown?.has(fact)))
    return undefined;
  if (silent.length > 0) return { why: unique(silent.map(({ ask }) => whyUnknown(fact, ask))) };
  const groups = fact === 'command' ? [asks] : byCommand(asks);
  const patterns = fact === 'environment' ? patternsOf(asks) : [];
  const listed = notMatched(patterns);
  const lists = groups.map((group) => listed(wantedBy(fact, group, wholeCommand)));
  if (facts.get(fact)?.expression === undefined) {
    return lists.some((list) => list.size > 0)
      ? undefined
      : { wholeCommand, values: [], patterns: [], own: [] };
  }
  const common = commonKeys(lists);
  const own = groups.flatMap((group, index): readonly OwnValues[] => {
    const values = [...(lists[index] ?? [])].filter(([key]) => !common.has(key)).map(([, wanted]) => wanted);
    const args = group[0]?.args;
    return values.length === 0 || args === undefined ? [] : [{ args, values }];
  });
  const values = [...listed(wantedBy(fact, asks, wholeCommand))]
    .filter(([key]) => common.has(key))
    .map(([, wanted]) => wanted);
  return { wholeCommand, values, patterns, own };
}

/**
 * The asks by their command lines, where all are known and there are some to tell apart: what only one container has,
 * no other gets. With one container beside the pause container there is nobody to keep it from.
 */
function byCommand(asks: readonly Ask[]): readonly (readonly Ask[])[] {
  const groups = new Map<string, Ask[]>();
  for (const ask of asks) {
    if (ask.method !== 'CreateContainer' || ask.args === undefined || ask.unknown?.has('command') === true)
      return [asks];
    const key = JSON.stringify(ask.args);
    groups.set(key, [...(groups.get(key) ?? []), ask]);
  }
  return groups.size > 2 ? [...groups.values()] : [asks];
}

/** What all have, one excepted: the pause container has less than any other. */
function commonKeys(lists: readonly ReadonlyMap<string, unknown>[]): ReadonlySet<string> {
  const keys = new Set(lists.flatMap((list) => [...list.keys()]));
  const most = Math.max(1, lists.length - 1);
  return new Set([...keys].filter((key) => lists.filter((list) => list.has(key)).length >= most));
}

function wantedBy(
  fact: FactName,
  asks: readonly Ask[],
  wholeCommand: boolean,
): ReadonlyMap<string, Wanted<Entry>> {
  const wanted = new Map<string, Wanted<Entry>>();
  for (const ask of asks) {
    for (const value of entriesOf(fact, ask, wholeCommand) ?? []) {
      const key = originKey(fact, value);
      const origin = ask.origins?.get(key);
      const because = [
        ...(wanted.get(key)?.because ?? []),
        ...(origin === undefined ? ask.because : [origin]),
      ];
      wanted.set(key, { value, because: unique(because) });
    }
  }
  return wanted;
}

function entriesOf(fact: FactName, ask: Ask, wholeCommand: boolean): readonly Entry[] | undefined {
  if (ask.unknown?.has(fact) === true) return undefined;
  if (wholeCommand && ask.args !== undefined) return [ask.args];
  return ask.facts === undefined ? undefined : facts.get(fact)?.read(ask.facts);
}

function whyUnknown(fact: FactName, ask: Ask): string {
  return ask.unknown?.get(fact) ?? `nothing is known of it for ${ask.because.join(', ')}`;
}

function patternsOf(asks: readonly Ask[]): readonly Wanted<string>[] {
  const patterns = new Map<string, string[]>();
  for (const [pattern, reason] of asks.flatMap((ask) => [...(ask.environmentPatterns ?? [])])) {
    patterns.set(pattern, [...(patterns.get(pattern) ?? []), reason]);
  }
  return [...patterns].map(([value, because]) => ({ value, because: unique(because) }));
}

/** What a pattern lets pass needs no line of its own. */
function notMatched(
  patterns: readonly Wanted<string>[],
): (wanted: ReadonlyMap<string, Wanted<Entry>>) => ReadonlyMap<string, Wanted<Entry>> {
  const matchers = patterns.map(({ value }) => new RegExp(value, 'u'));
  return (wanted) =>
    new Map([...wanted].filter(([, { value }]) => !matchers.some((matcher) => matcher.test(String(value)))));
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)];
}
