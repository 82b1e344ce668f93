import type { Frame } from './frame.js';
import type { Type } from './type.js';
import type { Value } from './value.js';

/** A checked and compiled part of an expression. */
export interface Compiled {
  readonly type: Type;
  /** @throws RuleError | BudgetExceeded */
  readonly run: (frame: Frame) => Value;
  /** Steps of one evaluation, without the additional cost of loops and long texts. */
  readonly weight: number;
  /** Its value, when it does not depend on the request. */
  readonly constant?: Value;
  /** The strings that it can be, when all are literals, as required for a pattern. */
  readonly texts?: readonly string[];
  /** For `has()`: the result for all requests of this method, when the method alone determines it. */
  readonly known?: boolean;
}

export function constant(type: Type, value: Value): Compiled {
  const texts = typeof value === 'string' ? { texts: [value] } : {};
  return { type, run: () => value, weight: 1, constant: value, ...texts };
}
