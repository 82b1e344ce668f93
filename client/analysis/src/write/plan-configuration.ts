import { inconsistencies, methodNames, type Release, releases } from '@kata-agent/catalogue';
import type { Ask } from './ask.js';
import type { ExtraRule } from './extra-rule.js';
import { facts } from './facts.js';
import type { Plan, PlannedRule, Unconstrained } from './plan.js';
import type { Wanted } from './wanted.js';
import { noPlannedAccess, type PlannedAccess } from './planned-access.js';
import type { PlannedAliases } from './planned-aliases.js';
import type { PlannedSecret } from './planned-secret.js';
import { planRule } from './plan-rule.js';
import { longestExpression, ruleExpression, valuesIn } from './rule-expression.js';
import { splitRule } from './split-rule.js';

/** The input of a configuration besides the asks. */
export interface PlanOptions {
  /** Default: the newest in the catalogue. */
  readonly release?: Release;
  /** Default: only what every container has. */
  readonly access?: PlannedAccess;
  /** Names of hosts files. Default: none. */
  readonly aliases?: PlannedAliases;
  /** Default: none. */
  readonly secrets?: readonly PlannedSecret[];
  /** Repositories of images that the built-in puller may pull. Default: no such section. */
  readonly registries?: readonly string[];
  /** Rules that are not lists; those of methods without an ask are omitted. */
  readonly extra?: readonly ExtraRule[];
}

/**
 * Plans the smallest configuration that allows all asks. A method with an ask is allowed; a fact that every ask of a
 * method has becomes a rule with exactly the asked values. Pure.
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
  const inconsistentSeverity = inconsistencies(endpoints.map(({ value }) => value)).map(
    ({ message }) => message,
  );
  const served = new Set(endpoints.map(({ value }) => value));
  const extra = (options.extra ?? []).filter(({ method }) => served.has(method));
  for (const { method, name, expression } of extra) {
    if (expression.length <= longestExpression) continue;
    tooLong.push({
      name,
      method,
      why: [`a rule of ${expression.length} characters is too long: ${longestExpression} are allowed`],
    });
  }
  const access = options.access ?? noPlannedAccess;
  const { registries, aliases = new Map(), secrets = [] } = options;
  return {
    release,
    access,
    aliases,
    secrets,
    registries,
    endpoints,
    inconsistentSeverity,
    rules,
    extra,
    unconstrained,
    open: [],
    tooLong,
  };
}

/** Returns why the loader would reject the rule. */
function faultOf(rule: PlannedRule): string | undefined {
  const { length } = ruleExpression(rule);
  return length <= longestExpression
    ? undefined
    : `a list of ${valuesIn(rule)} value(s) is too long for one rule: ${length} characters, ${longestExpression} are allowed`;
}
