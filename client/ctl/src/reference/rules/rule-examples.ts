import type { MethodName } from '@kata-agent/catalogue';
import { guestExamples } from './guest-examples.js';
import { podExamples } from './pod-examples.js';
import type { RuleExamples } from './rule-example.js';

/** One example per method. The compiler rejects a missing one. */
export const ruleExamples: RuleExamples<MethodName> = {
  ...podExamples,
  ...guestExamples,
};
