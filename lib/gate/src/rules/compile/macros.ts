import { absorbed } from './logic.js';
import { amongValues, type Compiled, type Frame, RuleError, type Value } from '../language/compiled.js';
import { type Expr, type Macro, macroOf, type NodeOf } from '../language/expression.js';
import { bool, listOf, type Type } from '../language/type.js';
import { condition, type Context, withArticle } from './context.js';

/** Compiles `items.all(name, test)` and the other macros. Each iteration costs the weight of its body. */
export function comprehension(expr: Expr, node: NodeOf<'comprehensionExpr'>, context: Context): Compiled {
  const macro = macroOf(node, context.macroName(expr));
  const items = context.compile(macro.items);
  const element = elementOf(items.type);
  if (element === undefined)
    return context.fault(
      'KA1305',
      context.ranges.of(macro.items),
      `${macro.name}() walks through a list or the keys of a map, and this is ${withArticle(items.type)}`,
    );
  if (context.isTaken(macro.variable))
    return context.fault(
      'KA1302',
      context.ranges.operator(expr),
      `the variable "${macro.variable}" of ${macro.name}() hides a name with another meaning`,
      'choose another name',
    );
  return context.withVariable(macro.variable, { type: element, ...elementsOf(items) }, (slot) =>
    loop(macro, items, slot, context),
  );
}

function loop(macro: Macro, items: Compiled, slot: number, context: Context): Compiled {
  const test = macro.test && condition(macro.test, context);
  const step = macro.step && context.compile(macro.step);
  const round = 1 + (test?.weight ?? 0) + (step?.weight ?? 0);
  const each = (frame: Frame): readonly Value[] => {
    const whole = items.run(frame);
    const list = whole instanceof Map ? [...whole.keys()] : (whole as readonly Value[]);
    frame.spend(whole instanceof Map ? list.length : 0);
    return list;
  };
  const passes = (frame: Frame, item: Value): boolean => {
    frame.spend(round);
    frame.slots[slot] = item;
    return test === undefined || test.run(frame) === true;
  };
  const weight = items.weight + 1;
  switch (macro.name) {
    case 'all':
      return { type: bool, weight, run: (frame) => !decided(each(frame), false, frame, passes) };
    case 'exists':
      return { type: bool, weight, run: (frame) => decided(each(frame), true, frame, passes) };
    case 'filter':
      return {
        type: listOf(elementOf(items.type) as Type),
        weight,
        run: (frame) => each(frame).filter((item) => passes(frame, item)),
      };
    case 'map':
      return {
        type: listOf((step as Compiled).type),
        weight,
        run: (frame) =>
          each(frame).flatMap((item) => (passes(frame, item) ? [(step as Compiled).run(frame)] : [])),
      };
    default:
      return {
        type: bool,
        weight,
        run: (frame) => each(frame).filter((item) => passes(frame, item)).length === 1,
      };
  }
}

/** Reports whether some item's test returns `wanted`. As with `||`, an error counts only when none does. */
function decided(
  items: readonly Value[],
  wanted: boolean,
  frame: Frame,
  passes: (frame: Frame, item: Value) => boolean,
): boolean {
  let failure: RuleError | undefined;
  for (const item of items) {
    try {
      if (passes(frame, item) === wanted) return true;
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      frame.spend(absorbed);
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return false;
}

/** Returns the type of a macro's elements; undefined when it cannot iterate the operand. */
export function elementOf(type: Type): Type | undefined {
  switch (type.kind) {
    case 'list':
      return type.element;
    case 'map':
      return type.key;
    case 'nothing':
      return type;
    default:
      return undefined;
  }
}

/** The variable of a macro over a list of constants can be used as a pattern, and so can its members. */
function elementsOf({ constant, among }: Compiled): Pick<Compiled, 'among' | 'texts'> {
  if (Array.isArray(constant)) return amongValues(constant as readonly Value[]);
  return among?.every(Array.isArray) === true
    ? amongValues((among as readonly (readonly Value[])[]).flat())
    : {};
}
