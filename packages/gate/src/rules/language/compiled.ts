import type { Frame } from './frame.js';
import type { Type } from './type.js';
import type { Value } from './value.js';

/** A part of an expression, checked and ready. */
export interface Compiled {
  readonly type: Type;
  /** @throws RuleError | BudgetExceeded */
  readonly run: (frame: Frame) => Value;
  /** Steps of evaluating it once, without what loops and long texts add. */
  readonly weight: number;
  /** Its value, when no request can change it. */
  readonly constant?: Value;
  /** The texts that it can be, when all are written in the expression: what a pattern has to be. */
  readonly texts?: readonly string[];
  /** For `has()`: what it is for each request of this method, because of the method. */
  readonly known?: boolean;
}

export function constant(type: Type, value: Value): Compiled {
  const texts = typeof value === 'string' ? { texts: [value] } : {};
  return { type, run: () => value, weight: 1, constant: value, ...texts };
}
