import type { Decision } from '@kata-agent/catalogue';
import type { Message } from '@bufbuild/protobuf';
import type { Rule } from '@kata-agent/config';
import type { RuleContext } from '../rule-context.js';

/** Compiled rules. Immutable; adding rules returns another book. */
export interface RuleBook {
  /** The rules in order of evaluation. */
  readonly rules: readonly Rule[];
  /** Reports whether a rule applies to the method; otherwise a call has no cost. */
  hasRulesFor(method: string): boolean;
  /**
   * Evaluates all rules of the method on a call that the lists allow (`allowed`). Never throws: an error, an exceeded
   * budget or a non-boolean value denies, and names the rule.
   */
  decide(allowed: Decision, request: Message, context: RuleContext): Decision;
}
