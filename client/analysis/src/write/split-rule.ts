import { facts } from './facts.js';
import type { PlannedRule, ListPart } from './plan.js';
import { longestExpression, ruleExpression } from './rule-expression.js';

/**
 * Splits a rule into parts that each can be loaded: a part covers a range of keys, such as names of variables, and lets
 * others pass. Returns the rule itself if it is short enough or has no key; a part can still be too long if a single
 * value is.
 */
export function splitRule(rule: PlannedRule): readonly PlannedRule[] {
  const key = facts.get(rule.fact)?.key;
  if (fits(rule) || key === undefined) return [rule];
  const entries = [...rule.values, ...rule.own.flatMap(({ values }) => values)];
  const excepted = rule.forms.flatMap(({ except }) => except.map(([, name]) => name));
  const keys = [...new Set([...entries.map(({ value }) => key.of(value)), ...excepted])].sort();
  return halves(rule, keys, {}).map((part, index) => ({
    ...part,
    part: { ...part.part, number: index + 1 },
  }));
}

type Range = Omit<ListPart, 'number'>;

function halves(rule: PlannedRule, keys: readonly string[], range: Range): readonly PlannedRule[] {
  const part = within(rule, new Set(keys), range);
  const middle = keys[Math.floor(keys.length / 2)];
  if (fits(part) || keys.length < 2 || middle === undefined) return [part];
  const at = Math.floor(keys.length / 2);
  return [
    ...halves(rule, keys.slice(0, at), { ...range, below: middle }),
    ...halves(rule, keys.slice(at), { ...range, from: middle }),
  ];
}

function within(rule: PlannedRule, keys: ReadonlySet<string>, range: Range): PlannedRule {
  const key = facts.get(rule.fact)?.key;
  const of = (values: PlannedRule['values']): PlannedRule['values'] =>
    values.filter(({ value }) => key !== undefined && keys.has(key.of(value)));
  // A variable outside the range passes this part anyway.
  const forms = rule.forms.map((form) => ({
    ...form,
    except: form.except.filter(([, name]) => keys.has(name)),
  }));
  const own = rule.own
    .map(({ container, values }) => ({ container, values: of(values) }))
    .filter(({ values }) => values.length > 0);
  return { ...rule, values: of(rule.values), forms, own, part: { number: 1, ...range } };
}

function fits(rule: PlannedRule): boolean {
  return ruleExpression(rule).length <= longestExpression;
}
