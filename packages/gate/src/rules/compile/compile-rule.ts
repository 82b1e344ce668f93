import type { MethodName } from '@kata-agent/catalogue';
import type { RuleFault } from '@kata-agent/config';
import { Patterns } from '../functions/patterns.js';
import type { Compiled } from '../language/compiled.js';
import { parseExpression } from '../language/parse-expression.js';
import type { RuleName } from '../names/rule-name.js';
import { Compilation } from './compilation.js';
import { Coverage } from './coverage.js';
import { condition } from './parts.js';

/** An expression, ready for the requests of one method. */
export interface Plan {
  readonly run: Compiled['run'];
  readonly weight: number;
  /** What has to stand in the first slots. */
  readonly inputs: readonly { readonly name: RuleName; readonly slot: number }[];
  readonly slots: number;
}

export interface CompiledRule {
  readonly faults: readonly RuleFault[];
  /** By method; whole only without faults. */
  readonly plans: ReadonlyMap<MethodName, Plan>;
}

/** Reads, checks and compiles an expression for each of its methods. Never throws. */
export function compileRule(rule: {
  readonly expression: string;
  readonly methods: Iterable<MethodName>;
}): CompiledRule {
  const read = parseExpression(rule.expression);
  if (!read.ok) return { faults: [{ severity: 'error', ...read.fault }], plans: new Map() };
  const { parsed } = read;
  const patterns = new Patterns();
  const coverage = new Coverage();
  const faults: RuleFault[] = [];
  const plans = new Map<MethodName, Plan>();
  for (const method of rule.methods) {
    const compilation = new Compilation(parsed, method, patterns, coverage);
    const { run, weight } = condition(parsed.root, compilation);
    faults.push(...compilation.faults);
    plans.set(method, { run, weight, inputs: compilation.inputs, slots: compilation.slots });
  }
  if (faults.length === 0) faults.push(...coverage.faults);
  return { faults: inOrder(faults), plans };
}

/** Methods share most of their mistakes; each is told once. */
function inOrder(faults: readonly RuleFault[]): readonly RuleFault[] {
  const each = new Map(faults.map((fault) => [`${fault.start} ${fault.end} ${fault.message}`, fault]));
  return [...each.values()].sort((left, right) => left.start - right.start || left.end - right.end);
}
