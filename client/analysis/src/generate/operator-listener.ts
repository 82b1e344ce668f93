import { inconsistencies, type MethodName } from '@kata-agent/catalogue';
import { facts } from '../write/fact-rules.js';
import type { ExtraRule, Plan, PlannedRule } from '../write/plan.js';
import { ruleExpression } from '../write/rule-expression.js';

/** What an operator calls to run commands in containers, and to read what containers write. */
export const operatorMethods: readonly MethodName[] = [
  'ExecProcess',
  'SignalProcess',
  'WaitProcess',
  'WriteStdin',
  'ReadStdout',
  'ReadStderr',
  'CloseStdin',
  'TtyWinResize',
];

/**
 * Returns the plan with exec, signals and streams open on one listener of the base document, for any command. Other listeners serve what
 * they did before: the runtime gains nothing. A profile has none of the rules of these methods.
 */
export function withOperatorListener<P extends Plan>(plan: P, listener: string): P {
  const served = new Set(plan.endpoints.map(({ value }) => value));
  const added = operatorMethods.filter((method) => !served.has(method));
  const endpoints = [
    ...plan.endpoints,
    ...added.map((value) => ({ value, because: [`--operators ${listener}`] })),
  ];
  const isOpened = ({ method }: { readonly method: MethodName }): boolean => operatorMethods.includes(method);
  const elsewhere = (rule: ExtraRule): ExtraRule => ({
    ...rule,
    expression: `listener == ${JSON.stringify(listener)} || (\n${rule.expression}\n)`,
  });
  return {
    ...plan,
    endpoints,
    inconsistentSeverity: inconsistencies(endpoints.map(({ value }) => value)).map(({ message }) => message),
    rules: plan.rules.filter((rule) => !isOpened(rule)),
    extra: [
      ...plan.rules.filter(isOpened).map(extraRuleOf).map(elsewhere),
      ...plan.extra.map((rule) => (isOpened(rule) ? elsewhere(rule) : rule)),
      ...added.map((method) => onlyOn(listener, method)),
    ],
  };
}

function onlyOn(listener: string, method: MethodName): ExtraRule {
  return {
    name: 'operators',
    method,
    description: `--operators ${listener}`,
    expression: `listener == ${JSON.stringify(listener)}`,
    message: `only served on listener ${listener}`,
  };
}

/** A rule of a list as one with an expression of its own. */
function extraRuleOf(rule: PlannedRule): ExtraRule {
  const { name = rule.fact, description = '', message = '' } = facts.get(rule.fact) ?? {};
  const number = rule.part?.number ?? 1;
  return {
    name: number === 1 ? name : `${name}-${number}`,
    method: rule.method,
    description,
    message,
    expression: ruleExpression(rule),
  };
}
