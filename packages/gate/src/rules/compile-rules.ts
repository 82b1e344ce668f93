import type { Message } from '@bufbuild/protobuf';
import type { Rule } from '@kata-agent/config';
import type { Decision } from '../decision.js';
import type { RuleContext } from '../rule-context.js';
import { compileRule, type Plan } from './compile/compile-rule.js';
import { Patterns } from './functions/patterns.js';
import { CallValues } from './call-values.js';
import { Frame } from './language/frame.js';
import { ruleLimits } from './language/limits.js';
import type { RuleBook } from './rule-book.js';

/** A rule as it stands for one method. */
interface Entry {
  readonly rule: Rule;
  readonly plan: Plan;
}

/**
 * Compiles rules that a checker let through, once, before any listener opens.
 *
 * @throws Error when a rule is wrong, naming it and its first fault.
 */
export function compileRules(rules: readonly Rule[]): RuleBook {
  const patterns = new Patterns();
  const entries = new Map<string, Entry[]>();
  for (const rule of rules) {
    const { faults, plans } = compileRule(
      { expression: rule.expression, methods: rule.methods.keys() },
      patterns,
    );
    const [fault] = faults.filter(({ severity }) => severity === 'error');
    if (fault !== undefined)
      throw new Error(`rule "${rule.name}" (${rule.span.file}:${rule.span.line}): ${fault.message}`);
    for (const [method, plan] of plans) {
      const list = entries.get(method) ?? [];
      list.push({ rule, plan });
      entries.set(method, list);
    }
  }
  return Object.freeze({
    rules: Object.freeze([...rules]),
    hasRulesFor: (method: string): boolean => entries.has(method),
    decide(allowed: Decision, request: Message, context: RuleContext): Decision {
      const list = entries.get(allowed.method);
      return list === undefined || allowed.outcome === 'deny'
        ? allowed
        : decide(list, allowed, new CallValues(request, context));
    },
  });
}

/**
 * A book with more rules, which can only refuse more.
 *
 * @throws Error as `compileRules`; the given book then stands.
 */
export function extendRules(book: RuleBook, rules: readonly Rule[]): RuleBook {
  return rules.length === 0 ? book : compileRules([...book.rules, ...rules]);
}

function decide(entries: readonly Entry[], allowed: Decision, values: CallValues): Decision {
  let decision = allowed;
  for (const { rule, plan } of entries) {
    const reason = refusal(plan, values);
    if (reason === undefined) continue;
    const place = `(${rule.span.file}:${rule.span.line})`;
    if (rule.enforcement === 'enforce')
      return denied(allowed, rule, `rule "${rule.name}" ${reason} ${place}`);
    // The first that would have refused is the one that is named, as it would be if it were enforced.
    if (decision === allowed)
      decision = Object.freeze({
        ...allowed,
        rule: rule.name,
        reason: `rule "${rule.name}" is only recorded: it ${reason} ${place}`,
      });
  }
  return decision;
}

function denied(allowed: Decision, rule: Rule, reason: string): Decision {
  return Object.freeze({
    ...allowed,
    outcome: 'deny',
    rule: rule.name,
    reason,
    ...(rule.message === undefined ? {} : { message: rule.message }),
    ...(rule.onDeniedRead === undefined ? {} : { onDeniedRead: rule.onDeniedRead }),
  });
}

/** Why a rule does not let a call pass; undefined when it does. Whatever goes wrong is a reason not to. */
function refusal(plan: Plan, values: CallValues): string | undefined {
  try {
    const frame = new Frame(plan.slots, ruleLimits.steps);
    for (const { name, slot } of plan.inputs) frame.slots[slot] = values.get(name);
    frame.spend(plan.weight);
    const value = plan.run(frame);
    if (value === true) return undefined;
    return value === false ? 'refused it' : 'gave something that is neither true nor false';
  } catch (error) {
    return `could not be evaluated: ${error instanceof Error ? error.message : String(error)}`;
  }
}
