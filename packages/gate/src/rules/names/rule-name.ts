import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { RuleContext } from '../../rule-context.js';
import type { Type } from '../language/type.js';
import type { Value } from '../language/value.js';

/** A name that stands in a rule for something of the call. */
export interface RuleName {
  readonly name: string;
  /** Where it can be used; elsewhere it is no name. */
  readonly methods: readonly MethodName[];
  readonly doc: string;
  /** A condition that uses it, right in a rule for all its methods. */
  readonly example: string;
  typeFor(method: MethodName): Type;
  /**
   * Its value for one call; read before the rule is evaluated, so that an error here denies whatever the rule says.
   *
   * @throws RuleError
   */
  read(request: Message, context: RuleContext): Value;
}
