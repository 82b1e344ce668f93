import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { RuleContext } from '../../rule-context.js';
import type { Type } from '../language/type.js';
import type { Value } from '../language/compiled.js';

/** A name that a rule can use for a value of the call. */
export interface RuleName {
  readonly name: string;
  /** The methods for which it is defined. */
  readonly methods: readonly MethodName[];
  /** The methods for which it is state of the guest, and not part of the call; absent: none. Fields can be by themselves. */
  readonly ofGuest?: readonly MethodName[];
  readonly doc: string;
  /** A condition that uses it, valid for all its methods. */
  readonly example: string;
  typeFor(method: MethodName): Type;
  /**
   * Returns its value for one call. Called before the rule is evaluated, so an error denies whatever the rule says.
   *
   * @throws RuleError
   */
  read(request: Message, context: RuleContext): Value;
}
