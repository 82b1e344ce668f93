import type { Decision } from '@kata-agent/gate';
import { type OfflineAuthorizer, ruleContextOf } from './offline-authorizer.js';
import type { TestCase, TestSuite, Expectation } from './parse-suite.js';

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

/** Renders a failed case for people: position, expected decision, actual decision and its reason. */
export function renderFailure({ test, actual, decision, notEvaluated }: CaseResult): string {
  const { span, name, method, expect, rule } = test;
  const expected = rule === undefined ? expect : `${expect} by rule ${rule}`;
  const got = decision.rule === undefined ? actual : `${actual} by rule ${decision.rule}`;
  if (notEvaluated.length > 0)
    return [
      `${span.file}:${span.line}:${span.column}: ${name}`,
      `  ${method}: not evaluated: rule ${notEvaluated.join(', ')}, which needs the image that the guest pulls`,
      '  help: add the key image to the test, with from, reference, digest and config',
    ].join('\n');
  return [
    `${span.file}:${span.line}:${span.column}: ${name}`,
    `  ${method}: expected ${expected}, but got ${got}`,
    `  ${decision.reason}`,
  ].join('\n');
}
