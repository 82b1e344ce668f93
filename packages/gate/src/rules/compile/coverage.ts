import type { RuleFault } from '@kata-agent/config';
import type { Expr } from '../language/expression.js';

/**
 * What the methods of a rule say to each `has()` together. It excuses a part from the methods that lack something; what
 * all methods lack is a misspelling that would otherwise never be noticed.
 */
export class Coverage {
  readonly #present = new Set<bigint>();
  readonly #absent = new Map<bigint, RuleFault>();

  presence(expr: Expr, why: RuleFault | undefined): void {
    if (why === undefined) this.#present.add(expr.id);
    // The method whose names are nearest tells best what was meant.
    else if (this.#absent.get(expr.id)?.help?.startsWith('did you mean') !== true)
      this.#absent.set(expr.id, why);
  }

  /** Asked when all methods are done. */
  get faults(): readonly RuleFault[] {
    return [...this.#absent].filter(([id]) => !this.#present.has(id)).map(([, why]) => why);
  }
}
