import type { MethodName } from '@kata-agent/catalogue';
import type { RuleFault } from '@kata-agent/config';
import type { Patterns } from '../functions/patterns.js';
import { type Compiled, type Frame, RuleError, type Value } from '../language/compiled.js';
import type { Expr } from '../language/expression.js';
import type { SourceRange, SourceRanges } from '../language/source-ranges.js';
import { show, type Type } from '../language/type.js';

/** The placeholder for a faulty part. The fault was reported, so it is never run. */
export const faulty: Compiled = {
  type: { kind: 'nothing' },
  weight: 0,
  run: () => {
    throw new RuleError('the expression is wrong here');
  },
};

/** A variable of the rule: its type, and its slot in the frame. */
export interface Variable {
  readonly type: Type;
  readonly slot: number;
  readonly texts?: readonly string[];
  readonly among?: readonly Value[];
}

/** Shared state of the compiler's parts for one expression and method. */
export interface Context {
  readonly method: MethodName;
  readonly ranges: SourceRanges;
  readonly patterns: Patterns;
  /** Compiles a node. Never throws: a faulty part is reported and becomes a placeholder that is never run. */
  compile(expr: Expr): Compiled;
  /** Reports a fault; returns the placeholder for the faulty part. */
  fault(code: RuleFault['code'], range: SourceRange, message: string, help?: string): Compiled;
  variable(name: string): Variable | undefined;
  /** `values` of a profile; undefined: the rule is not of a profile. */
  readonly values: Compiled | undefined;
  /** Reports whether a name is state of the guest for this method. */
  isOfGuest(name: string): boolean;
  /** Records that the expression uses state of the guest. */
  useOfGuest(name: string, range: SourceRange): void;
  /** Returns all names in scope. */
  names(): readonly string[];
  /** Reports whether any method defines the name, so that a macro's variable should not shadow it. */
  isTaken(name: string): boolean;
  /** Compiles with an additional variable. */
  withVariable<T>(name: string, variable: Omit<Variable, 'slot'>, body: (slot: number) => T): T;
  /** Compiles the operand of `has()`; a fault there means absence, not a mistake. */
  attempt(expr: Expr): { readonly compiled: Compiled; readonly faults: readonly RuleFault[] };
  /** Records whether this method has the operand of a `has()`; when no method does, `why` is reported. */
  presence(expr: Expr, why: RuleFault | undefined): void;
  /** Returns the name of the macro that a loop was written as. */
  macroName(loop: Expr): string;
}

/** Compiles a part that must be a bool. */
export function condition(expr: Expr, context: Context): Compiled {
  const compiled = context.compile(expr);
  const { kind } = compiled.type;
  if (kind === 'bool' || kind === 'nothing') return compiled;
  const help =
    kind === 'list' || kind === 'string' || kind === 'map'
      ? 'compare it, or ask for its size()'
      : 'compare it with something';
  return context.fault(
    'KA1306',
    context.ranges.of(expr),
    `a condition is true or false, and this is ${withArticle(compiled.type)}`,
    help,
  );
}

export function withArticle(type: Type): string {
  const shown = show(type);
  return `${/^[aeio]/i.test(shown) ? 'an' : 'a'} ${shown}`;
}

/** Returns the weight of a node with these children. */
export function weightOf(parts: readonly Compiled[]): number {
  return parts.reduce((sum, { weight }) => sum + weight, 1);
}

/** Returns the strings that either branch can be, when all are literals. */
export function unionOfTexts(parts: readonly Compiled[]): { readonly texts?: readonly string[] } {
  const texts = parts.map((part) => part.texts);
  return texts.every((list) => list !== undefined) ? { texts: [...new Set(texts.flat())] } : {};
}

/** Compares two values of comparable types. Numbers of both kinds are bigints and are compared by value. */
export function equal(left: Value, right: Value, frame: Frame): boolean {
  // Comparing long equal strings takes time, so it is charged in advance.
  if (typeof left === 'string' && typeof right === 'string') {
    if (left.length !== right.length) return false;
    frame.spend(left.length >> 8);
  }
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) return equalLists(left, right, frame);
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    frame.spend(Math.min(left.length, right.length) >> 8);
    return Buffer.compare(left, right) === 0;
  }
  return left instanceof Map && right instanceof Map && equalMaps(left, right, frame);
}

function equalLists(left: readonly Value[], right: readonly Value[], frame: Frame): boolean {
  if (left.length !== right.length) return false;
  frame.spend(left.length);
  return left.every((item, index) => equal(item, right[index] as Value, frame));
}

function equalMaps(left: ReadonlyMap<Value, Value>, right: ReadonlyMap<Value, Value>, frame: Frame): boolean {
  if (left.size !== right.size) return false;
  frame.spend(left.size);
  for (const [key, value] of left) {
    const other = right.get(key);
    if (other === undefined || !equal(value, other, frame)) return false;
  }
  return true;
}
