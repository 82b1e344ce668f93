import type { RuleChecker } from '@kata-agent/config';
import { recentRules } from './compiled-rules.js';

/**
 * Checks expressions without running them: names, fields and types for each method of the rule, patterns, size. What
 * it lets through can still fail on a request, by an index beyond the end or a missing key, and then denies.
 */
export function createRuleChecker(): RuleChecker {
  return { check: (rule) => recentRules.check(rule).faults };
}
