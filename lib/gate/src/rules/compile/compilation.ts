import type { MethodName } from '@kata-agent/catalogue';
import type { RuleFault } from '@kata-agent/config';
import type { Patterns } from '../functions/patterns.js';
import type { Compiled } from '../language/compiled.js';
import type { Expr } from '../language/expression.js';
import type { ParsedExpression } from '../language/parse-expression.js';
import type { SourceRange, SourceRanges } from '../language/source-ranges.js';
import type { RuleName } from '../names/rule-name.js';
import { namesFor, ruleNames } from '../names/rule-names.js';
import { call } from './calls.js';
import { type Context, faulty, type Variable } from './context.js';
import { identifier, select } from './fields.js';
import { listLiteral, literal, mapLiteral } from './literals.js';
import { comprehension } from './macros.js';
import { valuesName } from './profile-values.js';

/** The compilation of one expression for one method. */
export class Compilation implements Context {
  readonly method: MethodName;
  readonly ranges: SourceRanges;
  readonly patterns: Patterns;
  readonly values: Compiled | undefined;
  readonly #macros: ReadonlyMap<bigint, string>;
  readonly #coverage: Coverage;
  readonly #names: ReadonlyMap<string, RuleName>;
  readonly #used = new Map<string, Variable>();
  readonly #locals: { readonly name: string; readonly variable: Variable }[] = [];
  readonly #needsGuest = new Map<string, RuleFault>();
  #faults: RuleFault[] = [];
  #slots = 0;

  constructor(
    parsed: Pick<ParsedExpression, 'ranges' | 'macros'>,
    method: MethodName,
    patterns: Patterns,
    coverage: Coverage,
    values?: Compiled,
  ) {
    this.ranges = parsed.ranges;
    this.#macros = parsed.macros;
    this.method = method;
    this.patterns = patterns;
    this.values = values;
    this.#coverage = coverage;
    this.#names = namesFor(method);
  }

  get faults(): readonly RuleFault[] {
    return this.#faults;
  }

  /** The uses of the guest's state, as faults. */
  get needsGuest(): readonly RuleFault[] {
    return [...this.#needsGuest.values()];
  }

  /** The names that the expression uses, with their slots. */
  get inputs(): readonly { readonly name: RuleName; readonly slot: number }[] {
    return [...this.#used].map(([name, { slot }]) => ({ name: this.#names.get(name) as RuleName, slot }));
  }

  get slots(): number {
    return this.#slots;
  }

  compile(expr: Expr): Compiled {
    const { exprKind } = expr;
    switch (exprKind.case) {
      case 'constExpr':
        return literal(expr, exprKind.value, this);
      case 'identExpr':
        return identifier(expr, exprKind.value, this);
      case 'selectExpr':
        return select(expr, exprKind.value, this);
      case 'callExpr':
        return call(expr, exprKind.value, this);
      case 'listExpr':
        return listLiteral(exprKind.value, this);
      case 'structExpr':
        return mapLiteral(expr, exprKind.value, this);
      case 'comprehensionExpr':
        return comprehension(expr, exprKind.value, this);
      default:
        return this.fault('KA1310', this.ranges.of(expr), 'this has no meaning in a rule');
    }
  }

  fault(code: RuleFault['code'], { start, end }: SourceRange, message: string, help?: string): Compiled {
    this.#faults.push({
      severity: 'error',
      code,
      start,
      end,
      message,
      ...(help === undefined ? {} : { help }),
    });
    return faulty;
  }

  useOfGuest(name: string, { start, end }: SourceRange): void {
    this.#needsGuest.set(`${start} ${name}`, {
      severity: 'error',
      code: 'KA1315',
      start,
      end,
      message: `with forward, ${name} of ${this.method} is not known: the inner agent has the containers`,
      help: 'use what is in the request, peer or listener; docs/forward-mode.md lists what rules cannot use',
    });
  }

  isOfGuest(name: string): boolean {
    const isLocal = this.#locals.some((local) => local.name === name);
    return !isLocal && this.#names.get(name)?.ofGuest?.includes(this.method) === true;
  }

  variable(name: string): Variable | undefined {
    const local = this.#locals.findLast((candidate) => candidate.name === name);
    if (local !== undefined) return local.variable;
    const used = this.#used.get(name);
    if (used !== undefined) return used;
    const known = this.#names.get(name);
    if (known === undefined) return undefined;
    const variable = { type: known.typeFor(this.method), slot: this.#takeSlot() };
    this.#used.set(name, variable);
    return variable;
  }

  names(): readonly string[] {
    return [...this.#locals.map(({ name }) => name), ...this.#names.keys()];
  }

  isTaken(name: string): boolean {
    return (
      ruleNames.some((known) => known.name === name) ||
      this.#locals.some((local) => local.name === name) ||
      (this.values !== undefined && name === valuesName)
    );
  }

  withVariable<T>(name: string, variable: Omit<Variable, 'slot'>, body: (slot: number) => T): T {
    const slot = this.#takeSlot();
    this.#locals.push({ name, variable: { ...variable, slot } });
    try {
      return body(slot);
    } finally {
      this.#locals.pop();
    }
  }

  attempt(expr: Expr): { readonly compiled: Compiled; readonly faults: readonly RuleFault[] } {
    const before = this.#faults;
    this.#faults = [];
    try {
      const compiled = this.compile(expr);
      return { compiled, faults: this.#faults };
    } finally {
      this.#faults = before;
    }
  }

  presence(expr: Expr, why: RuleFault | undefined): void {
    this.#coverage.presence(expr, why);
  }

  macroName(loop: Expr): string {
    return this.#macros.get(loop.id) ?? '';
  }

  #takeSlot(): number {
    this.#slots += 1;
    return this.#slots - 1;
  }
}

/**
 * Collects the result of each `has()` over all methods of a rule. A part may be missing in some methods; one missing in
 * all of them is a misspelling that would otherwise go unnoticed.
 */
export class Coverage {
  readonly #present = new Set<bigint>();
  readonly #absent = new Map<bigint, RuleFault>();

  presence(expr: Expr, why: RuleFault | undefined): void {
    if (why === undefined) this.#present.add(expr.id);
    // The suggestion of the method with the most similar name is the best one.
    else if (this.#absent.get(expr.id)?.help?.startsWith('did you mean') !== true)
      this.#absent.set(expr.id, why);
  }

  /** Read after all methods were compiled. */
  get faults(): readonly RuleFault[] {
    return [...this.#absent].filter(([id]) => !this.#present.has(id)).map(([, why]) => why);
  }
}
