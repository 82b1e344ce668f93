import type { MethodName } from '@kata-agent/catalogue';
import type { RuleFault } from '@kata-agent/config';
import type { Patterns } from '../functions/patterns.js';
import type { Compiled } from '../language/compiled.js';
import type { Expr } from '../language/expression.js';
import type { Place, Places } from '../language/places.js';
import type { Type } from '../language/type.js';

/** A variable of the rule: what it is, and in which slot of the frame it stands. */
export interface Variable {
  readonly type: Type;
  readonly slot: number;
  readonly texts?: readonly string[];
}

/** What the parts of the compiler share while they compile one expression for one method. */
export interface Context {
  readonly method: MethodName;
  readonly places: Places;
  readonly patterns: Patterns;
  /** Never throws: a faulty part is reported, and compiled to something that no one runs. */
  compile(expr: Expr): Compiled;
  /** Reports a mistake; the result stands for the faulty part. */
  fault(place: Place, message: string, help?: string): Compiled;
  variable(name: string): Variable | undefined;
  /** All names that can be used here. */
  names(): readonly string[];
  /** Whether the name means something in some method, so that a macro's variable should not hide it. */
  isTaken(name: string): boolean;
  /** Compiles with one variable more. */
  withVariable<T>(name: string, variable: Omit<Variable, 'slot'>, body: (slot: number) => T): T;
  /** Compiles what `has()` asks for; its faults are answers there, not mistakes. */
  attempt(expr: Expr): { readonly compiled: Compiled; readonly faults: readonly RuleFault[] };
  /** Says of a `has()` whether this method has the thing; if none has it, `why` is a mistake. */
  presence(expr: Expr, why: RuleFault | undefined): void;
  /** The name of the macro that a loop was written as. */
  macroName(loop: Expr): string;
}
