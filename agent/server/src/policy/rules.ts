import type { RuleChecker } from '@kata-agent/config';
import type * as gateRules from '@kata-agent/gate/rules';

/**
 * Loads CEL. It costs time and memory, so it is loaded with the first rule and not before (docs/records/measurements.md, "Start
 * and memory").
 */
export function loadRules(): Promise<typeof gateRules> {
  return import('@kata-agent/gate/rules');
}

/** Checks the rules of a document when it is loaded. */
export async function ruleChecker(): Promise<RuleChecker> {
  const { createRuleChecker } = await loadRules();
  return createRuleChecker();
}
