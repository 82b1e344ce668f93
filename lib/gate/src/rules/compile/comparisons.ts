import { nearest } from '@kata-agent/config';
import type { Compiled, Value } from '../language/compiled.js';
import type { Expr } from '../language/expression.js';
import { bool, comparable, hasEquality, show, type Type } from '../language/type.js';
import { type Context, equal, weightOf, withArticle } from './context.js';

/** `==` and `!=`. */
export function equality(
  expr: Expr,
  sides: readonly [Expr, Expr],
  wanted: boolean,
  context: Context,
): Compiled {
  const left = context.compile(sides[0]);
  const right = context.compile(sides[1]);
  if (!comparable(left.type, right.type))
    return context.fault(
      'KA1305',
      context.ranges.of(expr),
      `${withArticle(left.type)} is never equal to ${withArticle(right.type)}`,
      conversion(left, right),
    );
  if (!hasEquality(left.type) || !hasEquality(right.type))
    return context.fault(
      'KA1305',
      context.ranges.of(expr),
      `values of ${show(left.type)} cannot be compared as a whole`,
      'compare their fields',
    );
  impossible(sides[1], left.type, right.texts, context);
  impossible(sides[0], right.type, left.texts, context);
  const isScalar = ['bool', 'int', 'uint'].includes(left.type.kind);
  const weight = weightOf([left, right]);
  if (isScalar)
    return { type: bool, weight, run: (frame) => (left.run(frame) === right.run(frame)) === wanted };
  return { type: bool, weight, run: (frame) => equal(left.run(frame), right.run(frame), frame) === wanted };
}

/** `item in list`, `key in map`. */
export function membership(expr: Expr, sides: readonly [Expr, Expr], context: Context): Compiled {
  const item = context.compile(sides[0]);
  const whole = context.compile(sides[1]);
  const { type } = whole;
  if (type.kind === 'nothing') return whole;
  if (type.kind !== 'list' && type.kind !== 'map')
    return context.fault(
      'KA1305',
      context.ranges.of(sides[1]),
      `"in" looks into a list or a map, and this is ${withArticle(type)}`,
      type.kind === 'string' ? 'text.contains(part) looks into a text' : undefined,
    );
  const element = type.kind === 'list' ? type.element : type.key;
  if (!comparable(item.type, element))
    return context.fault(
      'KA1305',
      context.ranges.of(expr),
      `${withArticle(item.type)} is never in ${withArticle(type)}`,
    );
  if (!hasEquality(item.type))
    return context.fault(
      'KA1305',
      context.ranges.of(sides[0]),
      'messages cannot be compared as a whole',
      'use exists() and compare fields',
    );
  const weight = weightOf([item, whole]);
  if (type.kind === 'map')
    return {
      type: bool,
      weight,
      run: (frame) => (whole.run(frame) as ReadonlyMap<Value, Value>).has(item.run(frame)),
    };
  const known = whole.constant as readonly Value[] | undefined;
  if (known !== undefined) {
    if (item.type.kind === 'string')
      impossible(
        sides[1],
        item.type,
        known.filter((value) => typeof value === 'string'),
        context,
      );
    if (known.every((value) => typeof value !== 'object')) {
      const members: ReadonlySet<Value> = new Set(known);
      return { type: bool, weight, run: (frame) => members.has(item.run(frame)) };
    }
  }
  const members = membersOf(whole.among);
  if (members !== undefined)
    return {
      type: bool,
      weight,
      run: (frame) => members.get(whole.run(frame))?.has(item.run(frame)) === true,
    };
  return {
    type: bool,
    weight,
    run(frame) {
      const wanted = item.run(frame);
      const list = whole.run(frame) as readonly Value[];
      frame.spend(list.length);
      return list.some((value) => equal(value, wanted, frame));
    },
  };
}

/** Returns a set for each list that a value can be; undefined: they are not known, or have lists. */
function membersOf(among: readonly Value[] | undefined): ReadonlyMap<Value, ReadonlySet<Value>> | undefined {
  if (among === undefined || !among.every(Array.isArray)) return undefined;
  const lists = among as readonly (readonly Value[])[];
  if (lists.some((list) => list.some((value) => typeof value === 'object'))) return undefined;
  return new Map(lists.map((list) => [list, new Set(list)]));
}

/** Reports a comparison with a string that the other side can never equal, as a misspelling. */
function impossible(node: Expr, type: Type, texts: readonly string[] | undefined, context: Context): void {
  if (type.kind !== 'string' || type.among === undefined) return;
  const { among } = type;
  const wrong = texts?.find((text) => !among.includes(text));
  if (wrong === undefined) return;
  const near = nearest(wrong, among);
  context.fault(
    'KA1307',
    context.ranges.of(node),
    `it is never ${JSON.stringify(wrong)}`,
    near === undefined ? `it is one of ${among.join(', ')}` : `did you mean "${near}"?`,
  );
}

function conversion(left: Compiled, right: Compiled): string | undefined {
  const kinds = [left.type.kind, right.type.kind];
  if (!kinds.includes('string')) return undefined;
  if (kinds.includes('int') || kinds.includes('uint')) {
    const literal = left.constant ?? right.constant;
    return typeof literal === 'bigint' ? `write "${literal}"` : 'int(text) and string(number) convert';
  }
  return kinds.includes('bytes') ? 'string(bytes) converts' : undefined;
}
