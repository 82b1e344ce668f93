import type { MethodName } from '@kata-agent/catalogue';
import type { RuleFault } from '@kata-agent/config';
import type { Patterns } from '../functions/patterns.js';
import type { Compiled } from '../language/compiled.js';
import type { Expr } from '../language/expression.js';
import type { SourceRange, SourceRanges } from '../language/source-ranges.js';
import type { Type } from '../language/type.js';

/** A variable of the rule: its type, and its slot in the frame. */
export interface Variable {
  readonly type: Type;
  readonly slot: number;
  readonly texts?: readonly string[];
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
