import type { Message } from '@bufbuild/protobuf';
import type { Rule } from '@kata-agent/config';
import type { Decision } from '../decision.js';
import type { RuleContext } from '../rule-context.js';

/** Rules compiled for use. It never changes; to add rules is to make another. */
export interface RuleBook {
  /** In the order in which they are asked. */
  readonly rules: readonly Rule[];
  /** Whether some rule stands for the method: when none does, a call pays nothing. */
  hasRulesFor(method: string): boolean;
  /**
   * The decision on a call that the lists let through, `allowed`, after all rules of its method. Never throws: an
   * error, an exceeded budget or a value that is no boolean denies, and names the rule.
   */
  decide(allowed: Decision, request: Message, context: RuleContext): Decision;
}
