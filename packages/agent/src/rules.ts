import type { RuleChecker } from '@kata-agent/config';
import type { RuleBook } from '@kata-agent/gate/rules';
import type * as gateRules from '@kata-agent/gate/rules';

/** The rule book of a configuration without rules: a call pays nothing. */
export const noRules: RuleBook = { rules: [], hasRulesFor: () => false, decide: (allowed) => allowed };

/**
 * Loads CEL, which takes time and memory, so it is done when the first rule comes and not before (docs/measurements.md,
 * "Start and memory").
 */
export function loadRules(): Promise<typeof gateRules> {
  return import('@kata-agent/gate/rules');
}

/** What checks the rules of a document when it is loaded. */
export async function ruleChecker(): Promise<RuleChecker> {
  const { createRuleChecker } = await loadRules();
  return createRuleChecker();
}
