import type { Compiled } from '../language/compiled.js';
import type { Expr } from '../language/expression.js';
import { RuleError } from '../language/frame.js';
import { comparable, isNumber, show } from '../language/type.js';
import type { Value } from '../language/value.js';
import type { Context } from './context.js';
import { weightOf, withArticle } from './parts.js';

/** `list[number]`, `map[key]`. */
export function indexAccess(sides: readonly [Expr, Expr], context: Context): Compiled {
  const whole = context.compile(sides[0]);
  const at = context.compile(sides[1]);
  const { type } = whole;
  const weight = weightOf([whole, at]);
  const range = context.ranges.of(sides[1]);
  switch (type.kind) {
    case 'nothing':
      return whole;
    case 'list': {
      if (at.type.kind !== 'nothing' && !isNumber(at.type))
        return context.fault(
          'KA1305',
          range,
          `a list is indexed by a number, and this is ${withArticle(at.type)}`,
        );
      if (typeof at.constant === 'bigint' && at.constant < 0n)
        return context.fault('KA1310', range, 'the first element of a list is [0]; none is before it');
      const run: Compiled['run'] = (frame) => element(whole.run(frame) as readonly Value[], at.run(frame));
      return { type: type.element, weight, run };
    }
    case 'map': {
      if (!comparable(at.type, type.key))
        return context.fault(
          'KA1305',
          range,
          `the keys of this map are of the type ${show(type.key)}, and this is ${withArticle(at.type)}`,
        );
      const run: Compiled['run'] = (frame) =>
        entry(whole.run(frame) as ReadonlyMap<Value, Value>, at.run(frame));
      return { type: type.value, weight, run };
    }
    default:
      return context.fault(
        'KA1305',
        context.ranges.of(sides[0]),
        `[] reads a list or a map, and this is ${withArticle(type)}`,
      );
  }
}

function element(list: readonly Value[], index: Value): Value {
  const at = Number(index);
  const value = list[at];
  if (value === undefined) throw new RuleError(`index ${at} in a list of ${list.length}`);
  return value;
}

/** The error does not contain the key: it may come from the request and would end up in the log. */
function entry(map: ReadonlyMap<Value, Value>, key: Value): Value {
  const value = map.get(key);
  if (value === undefined) throw new RuleError('a map has no such key');
  return value;
}
