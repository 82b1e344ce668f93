import type { MethodName } from '@kata-agent/catalogue';
import type { CheckedExpression, RuleChecker, RuleFault, RuleValues } from '@kata-agent/config';
import { patternFault, Patterns } from '../functions/patterns.js';
import type { Compiled } from '../language/compiled.js';
import { parseExpression } from '../language/parse-expression.js';
import type { RuleName } from '../names/rule-name.js';
import { Compilation, Coverage } from './compilation.js';
import { condition } from './context.js';
import { profileValues } from './profile-values.js';

/** A compiled expression for the requests of one method. */
export interface Plan {
  readonly run: Compiled['run'];
  readonly weight: number;
  /** The inputs to load into the first slots. */
  readonly inputs: readonly { readonly name: RuleName; readonly slot: number }[];
  readonly slots: number;
}

/** The parts of a rule that are compiled. */
export interface RuleSource {
  readonly expression: string;
  readonly methods: readonly MethodName[];
  /** Of a profile's rule. */
  readonly values?: RuleValues | undefined;
}

/** An expression compiled and checked for each of its methods. */
export class CompiledRule implements CheckedExpression {
  readonly faults: readonly RuleFault[];
  readonly needsGuest: readonly RuleFault[];
  readonly #source: RuleSource;
  readonly #plans: ReadonlyMap<MethodName, Plan>;

  constructor(
    source: RuleSource,
    faults: readonly RuleFault[],
    needsGuest: readonly RuleFault[],
    plans: ReadonlyMap<MethodName, Plan>,
  ) {
    this.#source = source;
    this.faults = faults;
    this.needsGuest = needsGuest;
    this.#plans = plans;
  }

  /** By method; complete only without faults. */
  get plans(): ReadonlyMap<MethodName, Plan> {
    return this.#plans;
  }

  /** Reports whether it was compiled from exactly this text for these methods. */
  isOf({ expression, methods, values }: RuleSource): boolean {
    const own = this.#source;
    return (
      own.expression === expression &&
      own.values === values &&
      own.methods.length === methods.length &&
      own.methods.every((method, index) => method === methods[index])
    );
  }
}

/** Parses, checks and compiles an expression for each of its methods. Never throws. */
export function compileRule(source: RuleSource): CompiledRule {
  const read = parseExpression(source.expression);
  if (!read.ok) return new CompiledRule(source, [{ severity: 'error', ...read.fault }], [], new Map());
  const { parsed } = read;
  const patterns = new Patterns();
  const coverage = new Coverage();
  const values = source.values === undefined ? undefined : profileValues(source.values);
  const faults: RuleFault[] = [];
  const needsGuest: RuleFault[] = [];
  const plans = new Map<MethodName, Plan>();
  for (const method of source.methods) {
    const compilation = new Compilation(parsed, method, patterns, coverage, values);
    const { run, weight } = condition(parsed.root, compilation);
    faults.push(...compilation.faults);
    needsGuest.push(...compilation.needsGuest);
    plans.set(method, { run, weight, inputs: compilation.inputs, slots: compilation.slots });
  }
  if (faults.length === 0) faults.push(...coverage.faults);
  return new CompiledRule(source, inOrder(faults), inOrder(needsGuest), plans);
}

/** Removes duplicates: methods share most of their faults. */
function inOrder(faults: readonly RuleFault[]): readonly RuleFault[] {
  const each = new Map(faults.map((fault) => [`${fault.start} ${fault.end} ${fault.message}`, fault]));
  return [...each.values()].sort((left, right) => left.start - right.start || left.end - right.end);
}

/**
 * Checks expressions without running them: names, fields and types for each method of the rule, patterns, size. A
 * checked rule can still fail on a request, for example by an index out of range or a missing key, and then denies.
 * Checking compiles the rule; `compileRules` reuses the result and does not parse the expression again.
 */
export function createRuleChecker(): RuleChecker {
  return { check: compileRule, patternFault };
}
