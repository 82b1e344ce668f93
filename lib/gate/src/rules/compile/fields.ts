import { nearest } from '@kata-agent/config';
import { valuesName } from './profile-values.js';
import {
  amongValues,
  type Compiled,
  constant,
  type FieldValues,
  RuleError,
  type Value,
} from '../language/compiled.js';
import type { Expr, NodeOf } from '../language/expression.js';
import { fieldNames, fieldOf } from '../language/field.js';
import { bool, comparable, isNumber, show, type Type } from '../language/type.js';
import { ruleNames } from '../names/rule-names.js';
import { type Context, weightOf, withArticle } from './context.js';

export function identifier(expr: Expr, { name }: NodeOf<'identExpr'>, context: Context): Compiled {
  const variable = context.variable(name);
  if (variable === undefined && name === valuesName && context.values !== undefined) return context.values;
  if (variable === undefined) return unknownName(expr, name, context);
  if (context.isOfGuest(name)) context.useOfGuest(name, context.ranges.of(expr));
  const { slot, type, texts, among } = variable;
  return {
    type,
    weight: 1,
    run: (frame) => frame.slots[slot] ?? false,
    ...(texts === undefined ? {} : { texts }),
    ...(among === undefined ? {} : { among }),
  };
}

/** `operand.field`, or `has(operand.field)`. */
export function select(expr: Expr, node: NodeOf<'selectExpr'>, context: Context): Compiled {
  if (node.operand === undefined)
    return context.fault('KA1301', context.ranges.of(expr), 'nothing is before the dot');
  return node.testOnly
    ? presence(expr, node.operand, node.field, context)
    : access(expr, node.operand, node.field, context);
}

/** `has(name)` for a name that only some methods have. */
export function namePresence(expr: Expr, name: Expr, context: Context): Compiled {
  const { faults } = context.attempt(name);
  context.presence(expr, faults[0]);
  return { ...constant(bool, faults.length === 0), known: faults.length === 0 };
}

function access(expr: Expr, operand: Expr, name: string, context: Context): Compiled {
  const owner = context.compile(operand);
  if (owner.type.kind === 'nothing') return owner;
  const field = fieldOf(owner.type, name);
  if (field === undefined) return unknownField(expr, owner.type, name, context);
  noteUseOfGuest(expr, owner.type, name, context);
  const member = (record: Value): Value => {
    const value = (record as FieldValues)[name];
    // The reader of the document gives every member: a missing one must not be taken for false.
    if (!Object.hasOwn(record as FieldValues, name) || value === undefined)
      throw new TypeError(`${show(owner.type)} lacks ${name}`);
    return value;
  };
  if (owner.constant !== undefined && owner.type.kind === 'record')
    return constant(field.type, member(owner.constant));
  const { run } = owner;
  return {
    type: field.type,
    weight: owner.weight + 1,
    run: (frame) => field.read(run(frame), frame),
    ...(owner.among === undefined || owner.type.kind !== 'record'
      ? {}
      : amongValues(owner.among.map(member))),
  };
}

function presence(expr: Expr, operand: Expr, name: string, context: Context): Compiled {
  const { compiled: owner, faults } = context.attempt(operand);
  const field = faults.length === 0 ? fieldOf(owner.type, name) : undefined;
  if (field === undefined) {
    const range = context.ranges.field(expr);
    context.presence(
      expr,
      faults[0] ?? { severity: 'error', code: 'KA1303', ...range, ...absence(owner.type, name) },
    );
    return { ...constant(bool, false), known: false };
  }
  context.presence(expr, undefined);
  noteUseOfGuest(expr, owner.type, name, context);
  return {
    type: bool,
    weight: owner.weight + 1,
    run: (frame) => field.isSet(owner.run(frame)),
  };
}

function noteUseOfGuest(expr: Expr, owner: Type, name: string, context: Context): void {
  if (owner.kind !== 'record' || !owner.fields.get(name)?.ofGuest?.includes(context.method)) return;
  context.useOfGuest(`${owner.name}.${name}`, context.ranges.field(expr));
}

function unknownField(expr: Expr, owner: Type, name: string, context: Context): Compiled {
  const { message, help } = absence(owner, name);
  return context.fault('KA1303', context.ranges.field(expr), message, help);
}

function absence(owner: Type, name: string): { readonly message: string; readonly help?: string } {
  const names = fieldNames(owner);
  if (owner.kind !== 'message' && owner.kind !== 'record')
    return { message: `${withArticle(owner)} has no fields, so .${name} has no meaning here` };
  const near = nearest(name, names);
  const message = `${show(owner)} has no field "${name}"`;
  if (near !== undefined) return { message, help: `did you mean "${near}"?` };
  return { message, help: names.length === 0 ? 'it has no fields at all' : `it has ${names.join(', ')}` };
}

function unknownName(expr: Expr, name: string, context: Context): Compiled {
  const range = context.ranges.of(expr);
  const elsewhere = ruleNames.find((known) => known.name === name);
  if (elsewhere !== undefined)
    return context.fault(
      'KA1302',
      range,
      `${context.method} has no "${name}"`,
      `${elsewhere.methods.join(' and ')} ${elsewhere.methods.length === 1 ? 'has' : 'have'} it; in a rule for both, has(${name}) asks`,
    );
  const near = nearest(name, context.names());
  return context.fault(
    'KA1302',
    range,
    `there is no "${name}" here`,
    near === undefined ? `known are ${context.names().join(', ')}` : `did you mean "${near}"?`,
  );
}

/** `list[number]`, `map[key]`. */
export function indexAccess(sides: readonly [Expr, Expr], context: Context): Compiled {
  const whole = context.compile(sides[0]);
  const at = context.compile(sides[1]);
  const { type } = whole;
  const weight = weightOf([whole, at]);
  switch (type.kind) {
    case 'nothing':
      return whole;
    case 'list': {
      if (at.type.kind !== 'nothing' && !isNumber(at.type))
        return context.fault(
          'KA1305',
          context.ranges.of(sides[1]),
          `a list is indexed by a number, and this is ${withArticle(at.type)}`,
        );
      if (typeof at.constant === 'bigint' && at.constant < 0n)
        return context.fault(
          'KA1310',
          context.ranges.of(sides[1]),
          'the first element of a list is [0]; none is before it',
        );
      const run: Compiled['run'] = (frame) => element(whole.run(frame) as readonly Value[], at.run(frame));
      return { type: type.element, weight, run };
    }
    case 'map': {
      if (!comparable(at.type, type.key))
        return context.fault(
          'KA1305',
          context.ranges.of(sides[1]),
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
