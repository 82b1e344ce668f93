import { inconsistencies, methodNames, type Release, releases } from '@kata-agent/catalogue';
import type { Ask } from './ask.js';
import { type Entry, type FactName, originKey } from './fact-name.js';
import { facts } from './facts.js';
import type { Plan, PlannedRule, Unconstrained, Wanted } from './plan.js';

/** What the text rests on besides the asks. */
export interface PlanOptions {
  /** Default: the newest that the catalogue knows. */
  readonly release?: Release;
}

/**
 * The least that serves all asks. A method that is asked for is allowed; a fact that every ask for a method knows
 * becomes a rule with just the values that were asked for. Pure, and the same for any order of the asks but for the
 * order of the reasons.
 */
export function planConfiguration(asks: readonly Ask[], options: PlanOptions = {}): Plan {
  const endpoints: Plan['endpoints'][number][] = [];
  const rules: PlannedRule[] = [];
  const unconstrained: Unconstrained[] = [];
  for (const method of methodNames) {
    const own = asks.filter((ask) => ask.method === method);
    if (own.length === 0) continue;
    endpoints.push({ value: method, because: unique(own.flatMap((ask) => ask.because)) });
    for (const fact of facts.keys()) {
      const planned = planRule(fact, own);
      if (planned === undefined) continue;
      if ('why' in planned) unconstrained.push({ fact, method, why: planned.why });
      else rules.push({ fact, method, ...planned });
    }
  }
  const release = options.release ?? releases[releases.length - 1] ?? '4.1.0';
  const senseless = inconsistencies(endpoints.map(({ value }) => value)).map(({ message }) => message);
  return { release, endpoints, senseless, rules, unconstrained };
}

type RulePart = Pick<PlannedRule, 'wholeCommand' | 'values' | 'patterns'>;

/** Undefined: no ask knows this fact. */
function planRule(
  fact: FactName,
  asks: readonly Ask[],
): RulePart | { readonly why: readonly string[] } | undefined {
  const wholeCommand = fact === 'command' && asks.every((ask) => ask.args !== undefined);
  const answers = asks.map((ask) => ({ ask, entries: entriesOf(fact, ask, wholeCommand) }));
  const silent = answers.filter(({ entries }) => entries === undefined);
  if (silent.length === answers.length && silent.every(({ ask }) => !ask.unknown?.has(fact)))
    return undefined;
  if (silent.length > 0) {
    return {
      why: unique(
        silent.map(
          ({ ask }) => ask.unknown?.get(fact) ?? `nothing is known of it for ${ask.because.join(', ')}`,
        ),
      ),
    };
  }
  const values = new Map<string, { value: Entry; because: string[] }>();
  for (const { ask, entries } of answers) {
    for (const value of entries ?? []) {
      const key = originKey(fact, value);
      const wanted = values.get(key) ?? { value, because: [] };
      values.set(key, wanted);
      const origin = ask.origins?.get(key);
      wanted.because.push(...(origin === undefined ? ask.because : [origin]));
    }
  }
  if (values.size > 0 && facts.get(fact)?.expression === undefined) return undefined;
  return {
    wholeCommand,
    values: [...values.values()].map(({ value, because }) => ({ value, because: unique(because) })),
    patterns: fact === 'environment' ? patternsOf(asks) : [],
  };
}

function entriesOf(fact: FactName, ask: Ask, wholeCommand: boolean): readonly Entry[] | undefined {
  if (ask.unknown?.has(fact) === true) return undefined;
  if (wholeCommand && ask.args !== undefined) return [ask.args];
  return ask.facts === undefined ? undefined : facts.get(fact)?.read(ask.facts);
}

function patternsOf(asks: readonly Ask[]): readonly Wanted<string>[] {
  const patterns = new Map<string, string[]>();
  for (const [pattern, reason] of asks.flatMap((ask) => [...(ask.environmentPatterns ?? [])])) {
    patterns.set(pattern, [...(patterns.get(pattern) ?? []), reason]);
  }
  return [...patterns].map(([value, because]) => ({ value, because: unique(because) }));
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)];
}
