import { nearest } from '@kata-agent/config';
import { ruleFunctions } from '../functions/functions.js';
import { hasMacro, loopMacros, matchesFunction } from '../functions/macros.js';
import { operators, type Overload } from '../functions/cel-operators.js';
import { type Compiled, constant, Frame, RuleError, type Value } from '../language/compiled.js';
import type { Expr, NodeOf } from '../language/expression.js';
import { ruleLimits } from '../language/limits.js';
import { bool, common, int, show } from '../language/type.js';
import { equality, membership } from './comparisons.js';
import { type Context, weightOf, withArticle } from './context.js';
import { entrypointCall, entrypointFunction } from './entrypoint-call.js';
import { indexAccess, namePresence } from './fields.js';
import { choice, junction, negation } from './logic.js';

const all = [...operators, ...ruleFunctions.flatMap((row) => row.overloads)];
const overloads: ReadonlyMap<string, readonly Overload[]> = new Map(
  all.map(({ name }) => [name, all.filter((overload) => overload.name === name)]),
);
const functionNames = [...ruleFunctions, entrypointFunction, matchesFunction, hasMacro].map(
  ({ name }) => name,
);
const macroForms: ReadonlyMap<string, string> = new Map(
  [...loopMacros, hasMacro].map(({ name, form }) => [name, form]),
);

/** Compiles operators and functions: every node that the parser calls a call. */
export function call(expr: Expr, node: NodeOf<'callExpr'>, context: Context): Compiled {
  const { function: name, target, args } = node;
  const [first, second, third] = args;
  if (target === undefined && first !== undefined) {
    if (name === '!_') return negation(first, context);
    if (name === 'has' && args.length === 1 && first.exprKind.case === 'identExpr')
      return namePresence(expr, first, context);
    if (second !== undefined) {
      const sides = [first, second] as const;
      switch (name) {
        case '_&&_':
          return junction(sides, false, context);
        case '_||_':
          return junction(sides, true, context);
        case '_==_':
          return equality(expr, sides, true, context);
        case '_!=_':
          return equality(expr, sides, false, context);
        case '@in':
          return membership(expr, sides, context);
        case '_[_]':
          return indexAccess(sides, context);
        case '_?_:_':
          if (third !== undefined) return choice(expr, [first, second, third], context);
      }
    }
  }
  if (name === entrypointFunction.name) return entrypointCall(expr, node, context);
  const form = macroForms.get(name);
  if (form !== undefined)
    return context.fault('KA1305', context.ranges.of(expr), `${name}() is written ${form}`);
  if (name !== 'matches' && !overloads.has(name)) return unknownFunction(expr, name, context);
  const parts = [...(target === undefined ? [] : [target]), ...args].map((part) => context.compile(part));
  if (name === 'matches') return matches(expr, target, parts, context);
  return overloaded(expr, name, target === undefined ? undefined : parts[0], parts, context);
}

function overloaded(
  expr: Expr,
  name: string,
  target: Compiled | undefined,
  parts: readonly Compiled[],
  context: Context,
): Compiled {
  const faulty = parts.find(({ type }) => type.kind === 'nothing');
  if (faulty !== undefined) return faulty;
  if (name === 'size' && parts.length === 1) {
    const [part] = parts;
    if (part !== undefined && (part.type.kind === 'list' || part.type.kind === 'map')) return entries(part);
  }
  if (name === '_+_') {
    const lists = concatenation(parts);
    if (lists !== undefined) return lists;
  }
  const found = overloads.get(name)?.find((overload) => takes(overload, target !== undefined, parts));
  if (found !== undefined) return applied(expr, found, parts, context);
  return noOverload(expr, name, target, parts, context);
}

function takes({ style, parameters }: Overload, isMethod: boolean, parts: readonly Compiled[]): boolean {
  return (
    (style === 'method') === isMethod &&
    parameters.length === parts.length &&
    parameters.every((parameter, index) => parameter.kind === parts[index]?.type.kind)
  );
}

function applied(expr: Expr, overload: Overload, parts: readonly Compiled[], context: Context): Compiled {
  const weight = weightOf(parts);
  const run = runner(overload, parts);
  const divisor = /^_[/%]_$/.test(overload.name) ? parts[1]?.constant : undefined;
  if (divisor === 0n) return context.fault('KA1310', context.ranges.of(expr), 'this divides by zero');
  if (parts.some((part) => part.constant === undefined)) return { type: overload.result, weight, run };
  try {
    return constant(overload.result, run(new Frame(0, ruleLimits.steps)));
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    return context.fault('KA1310', context.ranges.of(expr), `this cannot be computed: ${error.message}`);
  }
}

/** Unrolled: functions have one or two arguments, and a loop would cost more than most of them. */
function runner({ run, unitsPerStep }: Overload, parts: readonly Compiled[]): Compiled['run'] {
  const [first, second] = parts as readonly [Compiled, Compiled | undefined];
  const apply = run as unknown as (left: Value, right?: Value) => Value;
  if (second === undefined) {
    return (frame) => {
      const value = first.run(frame);
      if (unitsPerStep !== undefined) frame.spend(Math.floor(lengthOf(value) / unitsPerStep));
      return apply(value);
    };
  }
  return (frame) => {
    const left = first.run(frame);
    const right = second.run(frame);
    if (unitsPerStep !== undefined)
      frame.spend(Math.floor((lengthOf(left) + lengthOf(right)) / unitsPerStep));
    return apply(left, right);
  };
}

function lengthOf(value: Value): number {
  return typeof value === 'string' || value instanceof Uint8Array ? value.length : 0;
}

function entries(part: Compiled): Compiled {
  const run: Compiled['run'] = (frame) => {
    const value = part.run(frame);
    return BigInt(value instanceof Map ? value.size : (value as readonly Value[]).length);
  };
  return { type: int, weight: part.weight + 1, run };
}

/** `list + list`. */
function concatenation(parts: readonly Compiled[]): Compiled | undefined {
  const [left, right] = parts;
  if (left?.type.kind !== 'list' || right?.type.kind !== 'list') return undefined;
  const type = common(left.type, right.type);
  if (type === undefined) return undefined;
  const run: Compiled['run'] = (frame) => {
    const both = [left.run(frame), right.run(frame)] as readonly (readonly Value[])[];
    frame.spend((both[0]?.length ?? 0) + (both[1]?.length ?? 0));
    return both.flat();
  };
  return { type, weight: weightOf(parts), run };
}

function matches(
  expr: Expr,
  target: Expr | undefined,
  parts: readonly Compiled[],
  context: Context,
): Compiled {
  const [text, pattern] = parts;
  const args = expr.exprKind.case === 'callExpr' ? expr.exprKind.value.args : [];
  const patternNode = args[0];
  if (
    target === undefined ||
    text === undefined ||
    pattern === undefined ||
    patternNode === undefined ||
    parts.length !== 2
  )
    return context.fault('KA1308', context.ranges.of(expr), 'matches() is written text.matches("pattern")');
  for (const [part, node] of [
    [text, target],
    [pattern, patternNode],
  ] as const) {
    if (part.type.kind === 'nothing') return part;
    if (part.type.kind !== 'string')
      return context.fault(
        'KA1305',
        context.ranges.of(node),
        `matches() is for texts, and this is ${withArticle(part.type)}`,
      );
  }
  if (pattern.texts === undefined)
    return context.fault(
      'KA1308',
      context.ranges.of(patternNode),
      'a pattern must be a literal in the rule, it cannot come from the request',
      'write it as a text',
    );
  for (const source of pattern.texts) {
    const read = context.patterns.get(source);
    if ('fault' in read) return context.fault('KA1308', context.ranges.of(patternNode), read.fault);
  }
  const { patterns } = context;
  const run: Compiled['run'] = (frame) => {
    const subject = text.run(frame) as string;
    const compiled = patterns.get(pattern.run(frame) as string);
    if ('fault' in compiled) throw new RuleError(compiled.fault);
    return compiled.test(subject, frame);
  };
  return { type: bool, weight: weightOf(parts), run };
}

function noOverload(
  expr: Expr,
  name: string,
  target: Compiled | undefined,
  parts: readonly Compiled[],
  context: Context,
): Compiled {
  const types = parts.map(({ type }) => show(type));
  if (/[^A-Za-z]/.test(name)) {
    const operator = name.replaceAll('_', '').replace('@', '');
    const help =
      types.includes('int') && types.includes('uint')
        ? 'int(…) and uint(…) convert; 1u is unsigned'
        : undefined;
    return context.fault(
      'KA1305',
      context.ranges.of(expr),
      `"${operator}" is not for ${types.join(' and ')}`,
      help,
    );
  }
  const form = ruleFunctions.find((row) => row.name === name)?.form ?? name;
  const given =
    target === undefined
      ? `${name}(${types.join(', ')})`
      : `${types[0]}.${name}(${types.slice(1).join(', ')})`;
  return context.fault('KA1305', context.ranges.of(expr), `there is no ${given}`, `it is written ${form}`);
}

function unknownFunction(expr: Expr, name: string, context: Context): Compiled {
  const range = context.ranges.operator(expr);
  const near = nearest(name, [...functionNames, ...macroForms.keys()]);
  if (['timestamp', 'duration', 'now'].includes(name))
    return context.fault('KA1304', range, `a rule has no access to time, so there is no ${name}()`);
  return context.fault(
    'KA1304',
    range,
    `there is no function "${name}"`,
    near === undefined ? `known are ${functionNames.join(', ')}` : `did you mean "${near}"?`,
  );
}
