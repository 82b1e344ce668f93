import { inconsistencies, methodNames, type Release, releases } from '@kata-agent/catalogue';
import type { Ask } from './ask.js';
import type { ExtraRule } from './extra-rule.js';
import { facts } from './facts.js';
import type { Plan, PlannedRule, Unconstrained, Wanted } from './plan.js';
import { noPlannedAccess, type PlannedAccess } from './planned-access.js';
import { planRule } from './plan-rule.js';
import { longestExpression, ruleExpression, valuesIn } from './rule-expression.js';
import { splitRule } from './split-rule.js';

/** What the text rests on besides the asks. */
export interface PlanOptions {
  /** Default: the newest that the catalogue knows. */
  readonly release?: Release;
  /** Default: nothing beside what every container has. */
  readonly access?: PlannedAccess;
  /** Rules that are no lists; those of methods that nobody asks for are left out. */
  readonly extra?: readonly ExtraRule[];
}

/**
 * The least that serves all asks. A method that is asked for is allowed; a fact that every ask for a method knows
 * becomes a rule with just the values that were asked for. Pure.
 */
export function planConfiguration(asks: readonly Ask[], options: PlanOptions = {}): Plan {
  const endpoints: Wanted<PlannedRule['method']>[] = [];
  const rules: PlannedRule[] = [];
  const unconstrained: Unconstrained[] = [];
  const tooLong: Unconstrained[] = [];
  for (const method of methodNames) {
    const own = asks.filter((ask) => ask.method === method);
    if (own.length === 0) continue;
    endpoints.push({ value: method, because: [...new Set(own.flatMap((ask) => ask.because))] });
    for (const [fact, { name }] of facts) {
      const planned = planRule(fact, own);
      if (planned === undefined) continue;
      if ('why' in planned) unconstrained.push({ fact, name, method, why: planned.why });
      else
        for (const rule of splitRule({ fact, method, ...planned })) {
          const why = faultOf(rule);
          if (why === undefined) rules.push(rule);
          else tooLong.push({ fact, name, method, why: [why] });
        }
    }
  }
  const release = options.release ?? releases[releases.length - 1] ?? '4.1.0';
  const senseless = inconsistencies(endpoints.map(({ value }) => value)).map(({ message }) => message);
  const served = new Set(endpoints.map(({ value }) => value));
  const extra = (options.extra ?? []).filter(({ method }) => served.has(method));
  for (const { method, name, expression } of extra) {
    if (expression.length <= longestExpression) continue;
    tooLong.push({
      name,
      method,
      why: [
        `a rule of ${expression.length} characters is too long for one: ${longestExpression} are allowed`,
      ],
    });
  }
  const access = options.access ?? noPlannedAccess;
  return { release, access, endpoints, senseless, rules, extra, unconstrained, tooLong };
}

/** Why no loader would take the rule. */
function faultOf(rule: PlannedRule): string | undefined {
  const { length } = ruleExpression(rule);
  return length <= longestExpression
    ? undefined
    : `a list of ${valuesIn(rule)} value(s) is too long for one rule: ${length} characters, ${longestExpression} are allowed`;
}
