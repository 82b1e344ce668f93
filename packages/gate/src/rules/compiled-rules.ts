import type { Message } from '@bufbuild/protobuf';
import type { Rule } from '@kata-agent/config';
import type { Decision } from '../decision.js';
import type { RuleContext } from '../rule-context.js';
import { CallValues } from './call-values.js';
import type { Plan } from './compile/compile-rule.js';
import { RecentRules } from './compile/recent-rules.js';
import { BudgetExceeded, Frame, RuleError } from './language/frame.js';
import { ruleLimits } from './language/limits.js';
import type { RuleBook } from './rule-book.js';

/** What the checker read a moment ago. */
export const recentRules: RecentRules = new RecentRules();

/** A rule as it stands for one method. */
interface Entry {
  readonly rule: Rule;
  readonly plan: Plan;
}

type Entries = ReadonlyMap<string, readonly Entry[]>;

/** The book that is made of compiled rules. */
export class CompiledRules implements RuleBook {
  readonly rules: readonly Rule[];
  readonly #entries: Entries;

  private constructor(rules: readonly Rule[], entries: Entries) {
    this.rules = Object.freeze([...rules]);
    this.#entries = entries;
    Object.freeze(this);
  }

  static readonly empty: CompiledRules = new CompiledRules([], new Map());

  hasRulesFor(method: string): boolean {
    return this.#entries.has(method);
  }

  decide(allowed: Decision, request: Message, context: RuleContext): Decision {
    const entries = this.#entries.get(allowed.method);
    return entries === undefined || allowed.outcome === 'deny'
      ? allowed
      : decide(entries, allowed, new CallValues(request, context));
  }

  /** @throws Error when a rule is wrong, naming it and its first fault. */
  with(rules: readonly Rule[]): CompiledRules {
    const entries = new Map(this.#entries);
    for (const rule of rules) {
      const methods = [...rule.methods.keys()];
      const { faults, plans } = recentRules.take({ expression: rule.expression, methods });
      const fault = faults.find(({ severity }) => severity === 'error');
      if (fault !== undefined)
        throw new Error(`rule "${rule.name}" (${rule.span.file}:${rule.span.line}): ${fault.message}`);
      for (const [method, plan] of plans)
        entries.set(method, [...(entries.get(method) ?? []), { rule, plan }]);
    }
    return new CompiledRules([...this.rules, ...rules], entries);
  }
}

function decide(entries: readonly Entry[], allowed: Decision, values: CallValues): Decision {
  let decision = allowed;
  for (const { rule, plan } of entries) {
    const refused = refusal(plan, values);
    if (refused === undefined) continue;
    const reason = `${refused}${privilegesNamed(plan, values)}`;
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

/** For a rule that asks for it, why the request is privileged: a message of the rule cannot say so. */
function privilegesNamed({ inputs }: Plan, values: CallValues): string {
  return inputs.some(({ name }) => name.name.startsWith('privileged')) ? values.privileges() : '';
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
    const said = error instanceof Error ? error.message : String(error);
    // Anything else is a mistake of ours, and still a reason not to let a call pass.
    return error instanceof RuleError || error instanceof BudgetExceeded
      ? `could not be evaluated: ${said}`
      : `failed inside the agent: ${said}`;
  }
}
