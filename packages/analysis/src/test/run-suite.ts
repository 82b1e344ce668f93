import type { ListenerSettings } from '@kata-agent/config';
import type { Decision, RuleContext } from '@kata-agent/gate';
import type { Message } from '@bufbuild/protobuf';
import { ruleContextOf } from './rule-context-of.js';
import type { TestCase, TestSuite, Verdict } from './test-suite.js';

/** Decides on requests as an agent would. */
export interface Judge {
  readonly listeners: readonly ListenerSettings[];
  decide(method: string, request: Message, context: RuleContext): Decision;
}

export interface CaseResult {
  readonly test: TestCase;
  readonly passed: boolean;
  readonly verdict: Verdict;
  readonly decision: Decision;
}

/** What became of each case, in the order of the file. */
export function runSuite({ cases }: TestSuite, judge: Judge): readonly CaseResult[] {
  return cases.map((test) => {
    const decision = judge.decide(test.method, test.request, ruleContextOf(test, judge.listeners));
    const verdict = verdictOf(decision);
    const passed = verdict === test.expect && (test.rule === undefined || test.rule === decision.rule);
    return { test, passed, verdict, decision };
  });
}

/** A call that passes under the name of a rule is one that a rule only watches. */
function verdictOf({ outcome, rule }: Decision): Verdict {
  if (outcome === 'deny') return 'deny';
  return rule === undefined ? 'allow' : 'audit';
}
