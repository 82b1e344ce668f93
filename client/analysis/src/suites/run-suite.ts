import type { Decision } from '@kata-agent/gate';
import type { OfflineAuthorizer } from './offline-authorizer.js';
import { ruleContextOf } from './rule-context-of.js';
import type { TestCase, TestSuite, Expectation } from './test-suite.js';

export interface CaseResult {
  readonly test: TestCase;
  readonly passed: boolean;
  readonly actual: Expectation;
  readonly decision: Decision;
  /** Rules on which the decision could depend, and that were not evaluated: the case has no image. */
  readonly notEvaluated: readonly string[];
}

/** Returns the result of each case, in the order of the file. */
export function runSuite({ cases }: TestSuite, authorizer: OfflineAuthorizer): readonly CaseResult[] {
  return cases.map((test) => {
    const decision = authorizer.decide(test.method, test.request, ruleContextOf(test, authorizer.listeners));
    const actual = actualOf(decision);
    // Each call on a listener that does not exist is denied, so that a misspelt one would pass as expected.
    const known =
      test.listener === undefined || authorizer.listeners.some(({ name }) => name === test.listener);
    const notEvaluated = actual === 'deny' ? [] : (decision.pending ?? []);
    const passed =
      known &&
      notEvaluated.length === 0 &&
      actual === test.expect &&
      (test.rule === undefined || test.rule === decision.rule);
    return { test, passed, actual, decision, notEvaluated };
  });
}

/** An allowed call with the name of a rule: the rule is in audit mode. */
function actualOf({ outcome, rule }: Decision): Expectation {
  if (outcome === 'deny') return 'deny';
  return rule === undefined ? 'allow' : 'audit';
}
