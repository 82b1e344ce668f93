import type { RuleChecker } from '@kata-agent/config';
import { compileRule } from './compile/compile-rule.js';

/**
 * Checks expressions without running them: names, fields and types for each method of the rule, patterns, size. A
 * checked rule can still fail on a request, for example by an index out of range or a missing key, and then denies.
 * Checking compiles the rule; `compileRules` reuses the result and does not parse the expression again.
 */
export function createRuleChecker(): RuleChecker {
  return { check: compileRule };
}
