import { type Compiled, constant, RuleError, type Value } from '../language/compiled.js';
import type { Expr, NodeOf } from '../language/expression.js';
import {
  bool,
  bytes,
  common,
  int,
  listOf,
  mapOf,
  nothing,
  string,
  type Type,
  uint,
} from '../language/type.js';
import { checkedInt, checkedUint } from '../functions/cel-operators.js';
import { type Context, weightOf, withArticle } from './context.js';

export function literal(expr: Expr, { constantKind }: NodeOf<'constExpr'>, context: Context): Compiled {
  const fault = (message: string, help?: string): Compiled =>
    context.fault('KA1310', context.ranges.of(expr), message, help);
  switch (constantKind.case) {
    case 'boolValue':
      return constant(bool, constantKind.value);
    case 'stringValue':
      return constant(string, constantKind.value);
    case 'bytesValue':
      return constant(bytes, constantKind.value);
    case 'int64Value':
      return number(int, constantKind.value, checkedInt);
    case 'uint64Value':
      return number(uint, constantKind.value, checkedUint);
    case 'doubleValue':
      return fault('no request has fractions, so rules have only whole numbers');
    case 'nullValue':
      return fault('nothing is ever null', 'use has() to test whether a message is present');
    default:
      return fault('this literal has no meaning in a rule');
  }

  function number(type: Type, value: bigint, check: (value: bigint) => bigint): Compiled {
    try {
      return constant(type, check(value));
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      return fault('this number does not fit into 64 bits');
    }
  }
}

export function listLiteral({ elements }: NodeOf<'listExpr'>, context: Context): Compiled {
  const items = elements.map((element) => context.compile(element));
  const element = commonType(items, elements, 'a list', context);
  const type = listOf(element);
  const weight = weightOf(items);
  if (items.every((item) => item.constant !== undefined)) {
    const value = items.map((item) => item.constant as Value);
    return { type, weight: 1, constant: value, run: () => value };
  }
  return { type, weight, run: (frame) => items.map((item) => item.run(frame)) };
}

export function mapLiteral(
  expr: Expr,
  { entries, messageName }: NodeOf<'structExpr'>,
  context: Context,
): Compiled {
  if (messageName !== '')
    return context.fault(
      'KA1310',
      context.ranges.of(expr),
      `a rule creates no messages, so ${messageName}{} is not allowed here`,
    );
  const keyNodes: Expr[] = [];
  const valueNodes: Expr[] = [];
  for (const { keyKind, value } of entries) {
    if (keyKind.case !== 'mapKey' || value === undefined)
      return context.fault('KA1310', context.ranges.of(expr), 'a map has a key and a value in each entry');
    keyNodes.push(keyKind.value);
    valueNodes.push(value);
  }
  const keys = keyNodes.map((node) => context.compile(node));
  const values = valueNodes.map((node) => context.compile(node));
  const key = commonType(keys, keyNodes, "a map's keys", context);
  const value = commonType(values, valueNodes, "a map's values", context);
  if (!['bool', 'int', 'uint', 'string', 'nothing'].includes(key.kind))
    return context.fault(
      'KA1305',
      context.ranges.of(expr),
      `a key is a text, number or bool, not ${withArticle(key)}`,
    );
  const twice = keyNodes.findIndex(
    (_, index) =>
      keys[index]?.constant !== undefined &&
      keys.findIndex((other) => other.constant === keys[index]?.constant) < index,
  );
  if (twice >= 0)
    return context.fault('KA1310', context.ranges.of(keyNodes[twice] as Expr), 'the map has this key twice');
  const run: Compiled['run'] = (frame) => {
    const map = new Map<Value, Value>();
    for (const [index, compiled] of keys.entries()) {
      const at = compiled.run(frame);
      if (map.has(at)) throw new RuleError('a map gets one key twice');
      map.set(at, (values[index] as Compiled).run(frame));
    }
    return map;
  };
  return { type: mapOf(key, value), weight: weightOf([...keys, ...values]), run };
}

/** Returns the common type of all elements; reports a fault when there is none. */
function commonType(
  parts: readonly Compiled[],
  nodes: readonly Expr[],
  what: string,
  context: Context,
): Type {
  let type: Type = nothing;
  for (const [index, part] of parts.entries()) {
    const next = common(type, part.type);
    if (next === undefined) {
      context.fault(
        'KA1305',
        context.ranges.of(nodes[index] as Expr),
        `${what} must be of one type: this is ${withArticle(part.type)}, the one before is ${withArticle(type)}`,
      );
      return nothing;
    }
    type = next;
  }
  return type;
}
