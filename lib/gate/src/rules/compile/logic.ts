import { type Compiled, constant, type Frame, RuleError, type Value } from '../language/compiled.js';
import type { Expr } from '../language/expression.js';
import { bool, common, show } from '../language/type.js';
import { condition, type Context, unionOfTexts, weightOf } from './context.js';

/** Steps for an error that `&&` or `||` absorbs, about the cost of creating it. */
export const absorbed = 20;

/**
 * Compiles `&&` and `||`. An error on one side is absorbed when the other side decides; an exceeded budget never is.
 */
export function junction(sides: readonly [Expr, Expr], decisive: boolean, context: Context): Compiled {
  const left = condition(sides[0], context);
  // This method lacks the operand of a has(), so the other side is never evaluated and may be invalid for it.
  if (left.known === decisive) return { ...constant(bool, decisive), known: decisive };
  const right = condition(sides[1], context);
  if (right.known === decisive) return { ...constant(bool, decisive), known: decisive };
  if (left.known !== undefined) return right;
  if (right.known !== undefined) return left;
  const run = (frame: Frame): Value => {
    let value: Value;
    try {
      value = left.run(frame);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      frame.spend(absorbed);
      if (right.run(frame) === decisive) return decisive;
      throw error;
    }
    return value === decisive ? decisive : right.run(frame);
  };
  return { type: bool, weight: weightOf([left, right]), run };
}

export function negation(operand: Expr, context: Context): Compiled {
  const { run, weight, known } = condition(operand, context);
  if (known !== undefined) return { ...constant(bool, !known), known: !known };
  return { type: bool, weight: weight + 1, run: (frame) => run(frame) !== true };
}

/** `test ? yes : no`. */
export function choice(expr: Expr, parts: readonly [Expr, Expr, Expr], context: Context): Compiled {
  const test = condition(parts[0], context);
  if (test.known !== undefined) return context.compile(test.known ? parts[1] : parts[2]);
  const yes = context.compile(parts[1]);
  const no = context.compile(parts[2]);
  const type = common(yes.type, no.type);
  if (type === undefined)
    return context.fault(
      'KA1305',
      context.ranges.of(expr),
      `the two branches are of different types: ${show(yes.type)} and ${show(no.type)}`,
    );
  return {
    type,
    weight: weightOf([test, yes, no]),
    run: (frame) => (test.run(frame) === true ? yes.run(frame) : no.run(frame)),
    ...unionOfTexts([yes, no]),
  };
}
