import type { Rule, RuleChecker } from '@kata-agent/config';
import type { RuleBook } from '@kata-agent/gate/rules';

/** The rule book of a configuration without rules: a call pays nothing. */
export const noRules: RuleBook = { hasRulesFor: () => false, decide: (allowed) => allowed };

interface GateRules {
  readonly createRuleChecker: () => RuleChecker;
  readonly compileRules: (rules: readonly Rule[]) => RuleBook;
  readonly extendRules: (book: RuleBook, rules: readonly Rule[]) => RuleBook;
}

/** Loads CEL, which takes time and memory, so it is done when the first rule comes and not before (MEASURED, "Start"). */
export async function loadRules(): Promise<GateRules> {
  return (await import('@kata-agent/gate/rules')) as unknown as GateRules;
}

/** What checks the rules of a document when it is loaded. */
export async function ruleChecker(): Promise<RuleChecker> {
  const { createRuleChecker } = await loadRules();
  return createRuleChecker();
}
