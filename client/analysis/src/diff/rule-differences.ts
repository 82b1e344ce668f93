import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Configuration, Rule } from '@kata-agent/config';
import type { Difference } from './difference.js';
import { valueDifferences } from './value-differences.js';

/**
 * Returns differences of the rules. `served`: the methods that the new configuration serves on any listener; a rule for
 * other methods has no effect, so that removing it opens nothing.
 *
 * Whether a changed expression is wider or narrower cannot be determined in general: it counts as opening.
 */
export function ruleDifferences(
  before: Configuration,
  after: Configuration,
  served: ReadonlySet<MethodName>,
): readonly Difference[] {
  const old = new Map(rulesOf(before).map((rule) => [rule.name, rule]));
  const kept = new Set(rulesOf(after).map(({ name }) => name));
  const found: Difference[] = [];
  for (const rule of rulesOf(after)) {
    const was = old.get(rule.name) ?? renamed(rule, old, kept);
    if (was === undefined) found.push(addition(rule, served));
    else {
      old.delete(was.name);
      found.push(...change(was, rule, served));
    }
  }
  return [
    ...found,
    ...Array.from(old.values(), (rule) => removal(rule, served)),
    ...valueDifferences(before, after),
  ];
}

function rulesOf({ api }: Configuration): readonly Rule[] {
  return api.documents.flatMap(({ rules }) => rules);
}

/** Returns the renamed rule with the same content. */
function renamed(rule: Rule, old: ReadonlyMap<string, Rule>, kept: ReadonlySet<string>): Rule | undefined {
  return [...old.values()].find(
    (candidate) =>
      !kept.has(candidate.name) &&
      candidate.enforcement === rule.enforcement &&
      candidate.expression.trim() === rule.expression.trim() &&
      listOf(methodsOf(candidate)) === listOf(methodsOf(rule)),
  );
}

function addition(rule: Rule, served: ReadonlySet<MethodName>): Difference {
  const row = { about: 'rule', name: rule.name, after: textOf(rule) } as const;
  if (rule.enforcement === 'audit')
    return { ...row, effect: 'changes', why: 'it only records what it would deny' };
  const methods = methodsOf(rule).filter((method) => served.has(method));
  return methods.length === 0
    ? { ...row, effect: 'changes', why: 'none of its endpoints is served' }
    : { ...row, effect: 'closes', why: `it limits ${listOf(methods)}` };
}

function removal(rule: Rule, served: ReadonlySet<MethodName>): Difference {
  const row = { about: 'rule', name: rule.name, before: textOf(rule) } as const;
  if (rule.enforcement === 'audit')
    return { ...row, effect: 'changes', why: 'what it would have denied is no longer recorded' };
  const methods = methodsOf(rule).filter((method) => served.has(method));
  return methods.length === 0
    ? { ...row, effect: 'changes', why: 'none of its endpoints is served any more' }
    : { ...row, effect: 'opens', why: `it no longer limits ${listOf(methods)}` };
}

function change(was: Rule, rule: Rule, served: ReadonlySet<MethodName>): readonly Difference[] {
  const row = { about: 'rule', name: rule.name } as const;
  const refused = was.enforcement === 'enforce';
  const refuses = rule.enforcement === 'enforce';
  const here = methodsOf(rule).filter((method) => served.has(method));
  const stays = here.some((method) => was.methods.has(method));
  const joined = here.filter((method) => !was.methods.has(method));
  const left = methodsOf(was).filter((method) => !rule.methods.has(method) && served.has(method));
  const lists = { before: listOf(methodsOf(was)), after: listOf(methodsOf(rule)) };
  const found: Difference[] = [];

  if (refused !== refuses)
    found.push({
      ...row,
      effect: stays ? (refused ? 'opens' : 'closes') : 'changes',
      before: `enforcement = "${was.enforcement}"`,
      after: `enforcement = "${rule.enforcement}"`,
      why: refused ? 'what it denied is now only recorded' : 'what it only recorded is now denied',
    });
  if (was.expression.trim() !== rule.expression.trim())
    found.push({
      ...row,
      effect: refused && stays ? 'opens' : 'changes',
      before: was.expression.trim(),
      after: rule.expression.trim(),
      why:
        refused && stays
          ? 'its expression changed; whether the new one is wider is unknown: counts as opening'
          : 'its expression changed, but it denied nothing that is served',
    });
  if (left.length > 0)
    found.push({
      ...row,
      ...lists,
      effect: refused ? 'opens' : 'changes',
      why: `it no longer applies to ${listOf(left)}`,
    });
  if (joined.length > 0)
    found.push({
      ...row,
      ...lists,
      effect: refuses ? 'closes' : 'changes',
      why: `it also applies to ${listOf(joined)}`,
    });
  return [...found, ...appearance(was, rule)];
}

/** Differences that callers see, and that affect no decision. */
function appearance(was: Rule, rule: Rule): readonly Difference[] {
  const row = { effect: 'changes', about: 'rule', name: rule.name } as const;
  const found: Difference[] = [];
  if (was.name !== rule.name)
    found.push({ ...row, before: was.name, after: rule.name, why: 'it has another name' });
  if (was.message !== rule.message)
    found.push({
      ...row,
      before: was.message ?? '(no message)',
      after: rule.message ?? '(no message)',
      why: 'a denied caller gets another message',
    });
  if (was.onDeniedRead !== rule.onDeniedRead)
    found.push({
      ...row,
      before: was.onDeniedRead ?? 'as [api] says',
      after: rule.onDeniedRead ?? 'as [api] says',
      why: 'a denied read gets another answer',
    });
  return found;
}

function methodsOf({ methods }: Rule): readonly MethodName[] {
  return methodNames.filter((method) => methods.has(method));
}

function listOf(methods: readonly MethodName[]): string {
  return methods.join(', ');
}

function textOf(rule: Rule): string {
  return `${listOf(methodsOf(rule))}: ${rule.expression.trim()}`;
}
